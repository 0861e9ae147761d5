"""Two trainings compared: of this tree and of the one that it came from."""
