"""What is live, as one JSON object: `python -m pipelines.rerun.status`. Nothing is asked if nothing has changed."""

import json
import sys

from flightline.core.environment import read_settings
from pipelines.common.command_line import run_command
from pipelines.rerun.answers import answer_again


def _ask() -> str:
    from flightline.core.project import open_project
    from pipelines.rerun.live import status

    return json.dumps(status(open_project()), indent=2)


def main() -> int:
    """Print it."""
    return run_command(lambda: print(answer_again(read_settings(), "status", _ask)[0]))


if __name__ == "__main__":
    sys.exit(main())
