"""DVC (https://dvc.org/doc): versions of data/."""
