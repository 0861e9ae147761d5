"""YOURS: everything about the problem, and the only place that names its columns."""
