"""What the service is compared with: an echo, and the same model behind other servers, as their first pages show it."""
