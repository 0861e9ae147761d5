"""The prediction service: a thin FastAPI shell over the core and its adapters.

What a request and an answer hold is in `problem/api_schema.py`, the only file that knows the
problem. Training, the model registry and reports are not imported.
"""
