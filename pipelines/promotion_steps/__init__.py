"""Steps from a registered model to the champion: evidence, gate, signature, canary, refit."""
