"""Feast (https://docs.feast.dev): feature declarations, point-in-time join, online store."""
