"""Prefect flows, one story a file, and the commands that run them (`python -m pipelines.<name>`).

A flow calls its tasks in order and returns a small result; a task wraps one function of the
core or of an adapter. What a flow does, other than in which order, is not here.
"""
