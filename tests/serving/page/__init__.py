"""The page for people, and the endpoint behind it."""
