"""The tests mirror the top-level folders: a test file for each source file."""
