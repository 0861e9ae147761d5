"""A training again, when nothing has changed since the last one (docs/decisions/0041-nothing-to-do.md)."""
