"""The monitoring by hand: `python -m pipelines.rerun.monitor`.

Where nothing has changed since the last one, no flow is run, and its decision is printed again.
"""

import sys

from flightline.core.environment import read_settings
from flightline.core.settings import Settings
from pipelines.common.command_line import run_command
from pipelines.common.progress import note_reuse, stage
from pipelines.rerun.answers import answer_again

WRITES = ("evidently", "monitoring")


def monitor(settings: Settings) -> None:
    """Run the flow if anything has changed; else print again what the last one came to."""
    if settings.monitoring_url or settings.cloudwatch_namespace:  # what others are told is told anew
        _run()
        return
    answer, is_last = answer_again(settings, "monitor", _run, WRITES)
    if is_last:
        with stage("monitoring"):
            note_reuse()
        print(answer)


def _run() -> str:
    from pipelines.common.servers.by_hand import by_hand
    from pipelines.monitoring import in_words, monitoring

    return in_words(by_hand(monitoring, starts_server=False)())


def main() -> int:
    """Monitor, if there is anything to do."""
    return run_command(lambda: monitor(read_settings()))


if __name__ == "__main__":
    sys.exit(main())
