"""The prediction service: a thin FastAPI shell over the core and its adapters.

What a request and an answer hold is in `api_schema.py`, the only file here that knows the
problem. Training, the model registry and reports are not imported.
"""
