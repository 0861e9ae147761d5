"""What runs inside a copy of the tree: makes its data, fills its log, asks its service."""
