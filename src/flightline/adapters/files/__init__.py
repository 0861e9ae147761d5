"""Files that are written whole or not at all, pipes, and what lies in `.state/`."""
