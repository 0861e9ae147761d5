"""The service's page for people: a form made of the request schema, the answer, and what is known of the model."""
