"""Steps from a registered model to the champion: evidence, costs, gate, refit, canary."""
