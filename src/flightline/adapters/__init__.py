"""One file per outside tool; each is the only place that imports its tool."""
