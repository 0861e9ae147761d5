"""Whether the served model is still good enough, and whether its inputs are."""
