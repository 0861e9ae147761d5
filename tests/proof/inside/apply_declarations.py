"""Runs inside a copy: registers the feature declarations as they are now."""

import sys

from flightline.adapters.feast.feature_store import apply
from flightline.core.settings import Settings


def main() -> int:
    apply(Settings())
    return 0


if __name__ == "__main__":
    sys.exit(main())
