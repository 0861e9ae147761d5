"""Steps of data, features and training."""
