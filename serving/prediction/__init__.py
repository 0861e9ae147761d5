"""From checked requests to logged predictions, and how a model comes in."""
