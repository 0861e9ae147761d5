"""Steps of the monitoring flow."""
