"""Programs that run inside a copy, by the project's own public functions."""
