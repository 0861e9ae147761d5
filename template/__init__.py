"""What proves the template itself; left behind by `make start`."""
