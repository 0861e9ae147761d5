"""A simulation: its root, its service, and what the online store's lag costs."""
