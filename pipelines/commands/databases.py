"""Makes the databases that MLflow, Prefect and the prediction log share: `python -m pipelines.commands.databases`.

On AWS it is the task `setup`, which runs once after each apply. It may be broken off and run
again; then it sets passwords anew and migrates what has changed. No Prefect, whose server
waits for this.
"""

import sys

from flightline.adapters.databases.postgres_databases import ensure_databases
from flightline.core.environment import read_settings
from flightline.core.settings import Settings
from pipelines.commands.prediction_log import migrate
from pipelines.common.command_line import run_command


def set_up(settings: Settings) -> None:
    """Make users and databases, then bring the prediction log to the schema of this code."""
    for line in ensure_databases(settings.databases):
        print(f"database {line}")
    migrate(settings)


def main() -> int:
    """Set up the databases that the settings name."""
    return run_command(lambda: set_up(read_settings()))


if __name__ == "__main__":
    sys.exit(main())
