"""Retention in a process of its own, which stops at a step to be killed there.

python -m tests.adapters.prediction_log.retention.child ROOT BEFORE STEP NUMBER

The step is `file` (it was put in place), `commit` (rows are about to be deleted) or `delete` (they were), the
number which of them.
"""

import os
import sys
from datetime import datetime
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import sqlalchemy as sa

from flightline.adapters.prediction_log import retention
from tests.adapters.prediction_log.predictions import settings_of


def main() -> None:
    root, before, step, number = sys.argv[1:]
    numbers = count(1)

    def stop(*_: object) -> None:
        if next(numbers) == int(number):
            print("here", flush=True)
            sys.stdin.read()

    export, delete = retention._export, retention._delete_what_is_in

    def delete_watched(*given):
        sa.event.listen(sa.Engine, "commit", stop)
        return delete(*given)

    if step == "file":
        retention._export = lambda *given: (export(*given), stop())[0]
    elif step == "commit":
        retention._delete_what_is_in = delete_watched
    else:
        retention.time = SimpleNamespace(sleep=stop)
    moment = datetime.fromisoformat(before)
    for day in retention.archive(settings_of(Path(root), url=os.environ["LOG_URL"]), moment, moment):
        print(day, flush=True)


if __name__ == "__main__":
    main()
