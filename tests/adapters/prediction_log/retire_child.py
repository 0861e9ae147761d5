"""Retention in a process of its own, to be killed: `python -m tests.adapters.prediction_log.retire_child`."""

import os
import sys
from datetime import datetime
from pathlib import Path

from flightline.adapters.prediction_log.retention import retire
from tests.adapters.prediction_log.predictions import settings_of


def main() -> None:
    before = datetime.fromisoformat(sys.argv[2])
    for day in retire(settings_of(Path(sys.argv[1]), url=os.environ["LOG_URL"]), before, before):
        print(day, flush=True)


if __name__ == "__main__":
    main()
