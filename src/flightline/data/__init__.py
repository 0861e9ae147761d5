"""Checks and tools for raw tables and feature tables; they know no column by name."""
