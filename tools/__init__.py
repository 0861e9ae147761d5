"""Commands that start a project of one's own from this one: `make example` and `make rename`.

Standard library only: they change the tree, and must not depend on what they change.
"""
