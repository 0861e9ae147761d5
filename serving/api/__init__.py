"""Routes, their dependencies, errors as HTTP codes, and the OpenAPI document."""
