"""Makes the state of a copied or moved clone its own: `python -m pipelines.commands.own_state`, which make calls."""

import sys

from flightline.adapters.state.moved_state import own_state
from flightline.core.environment import read_settings
from flightline.core.settings import Settings
from pipelines.common.command_line import run_command


def _own(settings: Settings) -> None:
    if before := own_state(settings):
        print(f"state: copied or moved from {before}; its models lie here now, and what was cached is made anew")


def main() -> int:
    """Do it where the settings say."""
    return run_command(lambda: _own(read_settings()))


if __name__ == "__main__":
    sys.exit(main())
