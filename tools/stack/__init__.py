"""The stack of compose."""
