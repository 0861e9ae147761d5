"""What is planted, and the safeguard that must stop it."""
