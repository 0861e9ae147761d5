"""Figures of a run for Prometheus and CloudWatch."""
