"""Planted faults, each of which must be stopped by its named safeguard: `python -m tests.proof`.

A safeguard counts only while its fault is caught. Each fault is planted in a copy of this
tree with a few months of the real data, the loop's own commands are run there, and what they
said and left behind is judged. Nothing outside the copies is written.
"""
