"""The prediction service: a thin FastAPI shell over the core and its adapters.

It takes the problem as an argument (`Project`), and names nothing of it. Training, the model
registry and reports are not imported.
"""
