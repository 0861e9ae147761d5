"""Programs that commands start and end: Prefect's server, the pages, the service."""
