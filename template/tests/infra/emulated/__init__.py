"""An AWS on loopback with the project on it, what it was asked, and what IAM says of that."""
