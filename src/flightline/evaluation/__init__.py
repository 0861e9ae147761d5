"""How good predictions are, how sure that is, and what a model goes by."""
