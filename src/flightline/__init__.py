"""Flightline's core: pure functions from raw tables to features, models and decisions.

Values in, values out. Files directly in this package read no file, no clock and no
environment; that is the work of `flightline.adapters`, `pipelines` and `serving`.
"""
