"""Steps of training, promotion and data flows."""
