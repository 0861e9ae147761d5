"""Migrations of the prediction log, run by `adapters/prediction_log/schema.py`: `make db-migrate`."""
