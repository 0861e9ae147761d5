"""Which model becomes champion: gate, canary, and the report of a change."""
