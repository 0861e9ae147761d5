"""Migrations of the prediction log, run by `adapters/prediction_log_schema.py`: `make migrate`."""
