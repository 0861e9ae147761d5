"""What the service must survive, on real processes of it; docs/reliability.md has the figures."""
