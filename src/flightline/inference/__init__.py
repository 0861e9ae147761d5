"""From a fitted pipeline to predictions."""
