"""Which files of a project hold its state, and what happens when it is moved or damaged."""
