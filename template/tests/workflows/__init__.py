"""Every workflow, run by act on this machine: `make test-workflows`."""
