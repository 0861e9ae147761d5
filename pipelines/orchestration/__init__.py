"""Prefect: deployments, schedules, events, alerts, the worker."""
