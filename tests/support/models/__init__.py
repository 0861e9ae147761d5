"""Models that tests make: trained by a flow, registered, delivered and damaged."""
