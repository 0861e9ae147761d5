"""The pages of the tools, and one that links them: `make ui`."""
