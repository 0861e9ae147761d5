"""A worker in a process of its own, told by a pipe what to do: `python -m tests.adapters.prediction_log.child`.

Prints an id only after `write` returned. `--break` makes it acknowledge before it writes, as
a log that buffers would: the tests must notice.
"""

import argparse
import os
import sys
from pathlib import Path

from flightline.adapters.prediction_log import writers
from flightline.adapters.prediction_log.log import PredictionLog
from tests.adapters.prediction_log.predictions import prediction, settings_of


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("--rows", type=int, default=10**9)
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--checkpoint-every", type=int, default=writers._CHECKPOINT_ROWS)
    parser.add_argument("--break", dest="is_broken", action="store_true")
    options = parser.parse_args()
    writers._CHECKPOINT_ROWS = options.checkpoint_every
    log = PredictionLog.open(settings_of(options.root, url=os.environ["LOG_URL"]))
    held: list = []
    for _ in range(0, options.rows, options.at_once):
        rows = [prediction() for _ in range(options.at_once)]
        if options.is_broken:
            held += rows
            if len(held) >= 50:
                log.write(held)
                held.clear()
        else:
            log.write(rows)
        sys.stdout.write("".join(f"{row.prediction_id}\n" for row in rows))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
