"""Runs a fault: copies of the tree, processes in them, and the server that they share."""
