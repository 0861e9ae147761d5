"""GitHub on this machine: what runs workflows, what stands in for its actions and its API, and what happens there."""
