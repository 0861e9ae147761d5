"""What a command answered the last time, taken again where nothing in its place has changed since."""

import json
from collections.abc import Callable, Collection, Mapping

from flightline.adapters.files.atomic_write import atomic_write_text
from flightline.core.lineage import digest_of
from flightline.core.settings import Settings
from pipelines.rerun.digests import inputs_digest, state_parts


def answer_again(
    settings: Settings,
    command: str,
    ask: Callable[[], str],
    writes: Collection[str] = (),
    reads: Collection[str] | None = None,
) -> tuple[str, bool]:
    """Give the answer of a command, or of a part of one, and whether it is that of the last time.

    Parameters
    ----------
    ask
        Makes the answer; called only if anything has changed in state, data/, source or settings since, if some of the
        state lies elsewhere, or if the event clock is the time of day.
    writes
        Names in the state of what the command itself writes. Whatever else changes while it runs, its answer is not
        kept.
    reads
        Names in the state that the answer follows from; None for all of the state and data/.
    """
    file = settings.state_dir / "answers" / f"{command}.json"

    def look() -> dict[str, object] | None:
        state = state_parts(settings, reads)
        return state and {"/inputs": inputs_digest(settings, [command]), **state}

    before = look()
    if before is not None:
        try:
            kept = json.loads(file.read_bytes())
            if kept["follows_from"] == digest_of(before):
                return str(kept["answer"]), True
        except (OSError, ValueError, KeyError, TypeError):
            pass
    answer = ask()
    if before is not None and (after := look()) is not None and _but(after, writes) == _but(before, writes):
        atomic_write_text(file, json.dumps({"follows_from": digest_of(after), "answer": answer}) + "\n")
    return answer, False


def _but(parts: Mapping[str, object], writes: Collection[str]) -> dict[str, object]:
    return {name: part for name, part in parts.items() if name not in writes}
