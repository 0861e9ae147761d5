"""What the service must survive, on real processes of it."""
