"""A year lived again to see when to retrain: the matrix of models and weeks, policies on it, and the page."""
