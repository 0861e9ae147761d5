"""Steps that judge a model on rows it has not seen, and tell people of it."""
