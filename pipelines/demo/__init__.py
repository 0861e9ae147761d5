"""Weeks lived through in a minute, so that every page has something to show: `make demo`."""
