"""Commands that run no flow: `python -m pipelines.commands.<name>`."""
