"""What workflows and checks call."""
