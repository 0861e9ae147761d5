"""What flows and commands share: progress, artifacts, caching, retries, processes."""
