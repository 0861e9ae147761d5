"""Container images: built, pushed, listed."""
