"""How often the gate, the canary and monitoring err, by what `make train` made."""
