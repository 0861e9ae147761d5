"""Prefect flows, one story a file, and the commands that run them (`python -m pipelines.<name>`).

A flow calls its tasks in order and returns a small result; a task wraps one function of the
core or of an adapter. What a flow does, other than in which order, is not here.
"""

import gc

# Python's collector looks through all that the libraries loaded, again and again, and finds nothing: an eighth of the
# processor time of `make monitor`, for 110 MB (docs/decisions/0048-less-on-the-way.md).
gc.set_threshold(100_000, 10, 10)
