"""Around every request: keys, limits, sizes, request context."""
