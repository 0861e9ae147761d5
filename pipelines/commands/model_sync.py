"""Brings every new champion to where the service loads it from: `python -m pipelines.commands.model_sync`.

The one process of the service that talks to the registry. A champion that fails a check never
enters the folder; the last good one stays there, so that the service needs no registry to go on
or to start again. Where there is none yet, as on a new machine, the champion of before is brought.
"""

import argparse
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from flightline.adapters.event_clock import ensure_clock
from flightline.adapters.mlflow import registry
from flightline.adapters.mlflow.canary_record import read_canary
from flightline.adapters.mlflow.champion_moves import champions, last_move
from flightline.adapters.mlflow.signed_artifacts import attestations_stamp
from flightline.adapters.model_store.approvals import Role
from flightline.adapters.model_store.canary_setting import canary_folder, read_setting, write_setting
from flightline.adapters.model_store.manifest import ModelManifest
from flightline.adapters.model_store.served_model import (
    KEPT_VERSIONS,
    Refusal,
    clear_refusal,
    current_manifest,
    is_whole,
    read_refusal,
    switch_served_model,
    version_stamp,
    write_refusal,
)
from flightline.adapters.model_store.signing_keys import read_trusted_keys
from flightline.core.errors import FlightlineError, SignatureError
from flightline.core.project import Project, open_project
from pipelines.promotion_steps.champion import fetch_champion
from pipelines.steps.signing import deliver_version

LOG = logging.getLogger("model-sync")
# How long a registry that does not answer keeps a service from starting, if that waits for the first look.
PATIENCE_SECONDS = 60
# Between looks at a whole model that was refused and has not been signed, approved or promoted anew since.
LONGEST_PAUSE_SECONDS = 60.0
# A registry that does not answer is asked again at the next look, not for minutes.
IMPATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}


class Backoff:
    """Says when what was refused is tried again: at once if it has changed, else after ever longer pauses.

    Parameters
    ----------
    now
        A clock in seconds that never goes back.
    """

    def __init__(self, first_seconds: float, now: Callable[[], float]):
        self._first_seconds, self._now = first_seconds, now
        self.reset()

    def reset(self) -> None:
        """Forget what was refused."""
        self.has_refused = False
        self._stamp: object = None
        self._pause, self._until = self._first_seconds, 0.0

    def is_due(self, stamp: object) -> bool:
        """Say whether to try what has this stamp."""
        return not self.has_refused or stamp != self._stamp or self._now() >= self._until

    def refuse(self, stamp: object) -> None:
        """Let what has this stamp wait, the longer the more often it was refused."""
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS) if stamp == self._stamp else self._first_seconds
        self.has_refused, self._stamp, self._until = True, stamp, self._now() + self._pause


class ModelSync:
    """Looks at the registry's `champion`, and keeps the service's folder at that version."""

    def __init__(self, project: Project, now: Callable[[], float] = time.monotonic):
        self._project = project
        self._said = ""
        self._whole: object = None
        self._last_message = ""
        first_seconds = 2 * project.settings.serving.watch_seconds
        self._champion_backoff, self._canary_backoff = Backoff(first_seconds, now), Backoff(first_seconds, now)

    def poll(self) -> bool:
        """Look once at the champion, and at what runs beside it; say whether the registry answered."""
        has_answered = self.look_at_champion()
        self.look_at_canary()
        return has_answered

    def look_at_canary(self) -> None:
        """Bring the challenger of the canary's setting and then the setting, or take the setting away."""
        folder = canary_folder(self._project.settings)
        stamp, setting = None, None
        try:
            setting = read_canary(self._project.settings, self._project.problem.model_name)
            if setting is not None:
                found = registry.get_version(self._project.settings, self._project.problem.model_name, setting.version)
                stamp = (setting, self._stamp(found, self._canary_backoff))
                if not self._canary_backoff.is_due(stamp):
                    return
                self._bring_challenger(found, folder, "challenger" if setting.mode == "split" else "shadow")
            if setting != read_setting(folder):
                write_setting(folder, setting)
            clear_refusal(folder)
            self._canary_backoff.reset()
            message = f"version {setting.version} runs beside the champion ({setting.mode})" if setting else ""
        except Exception as err:  # noqa: BLE001  # as below; and a challenger that cannot be brought does not run
            self._canary_backoff.refuse(stamp)
            if setting is not None:
                write_refusal(folder, Refusal.of(setting.version, err))  # workers count a bad signature
            message = f"no challenger is brought: {type(err).__name__}: {err}"
        if message != self._last_message:
            LOG.info(message or "no challenger runs beside the champion")
        self._last_message = message

    def _bring_challenger(self, found: registry.ModelVersion, folder: Path, role: Role) -> None:
        held, keys = current_manifest(folder), read_trusted_keys(self._project.settings)
        is_held = held is not None and held.version == str(found.version)
        if not (is_held and is_whole(folder, str(found.version), keys, self._project.problem, role)):
            deliver_version(self._project, found, folder, role)

    def look_at_champion(self) -> bool:
        """Look once and say whether the registry answered; a failure is logged once, and the folder stays as it is."""
        folder = self._project.settings.serving_models_dir
        try:
            champion = registry.version_of(self._project.settings, self._project.problem.model_name, registry.CHAMPION)
            stamp = self._stamp(champion, self._champion_backoff) if champion else None
        except Exception as err:  # noqa: BLE001  # MLflow passes on what its store raises: requests, sqlalchemy, its own
            self._say(logging.WARNING, f"the registry does not answer ({type(err).__name__}); what is served stays")
            return False
        if champion is None:
            self._say(logging.INFO, "there is no champion yet")
            return True
        version = str(champion.version)
        served, refused = current_manifest(folder), read_refusal(folder)
        if (
            served is not None
            and (served.version, served.sha256) == (version, champion.tags.get("model_sha256"))
            and self._is_whole(served)
        ):
            self._champion_backoff.reset()
            if refused is not None:
                switch_served_model(folder, version)  # back on what is served: nothing is refused any more
            self._say(logging.INFO, f"version {version} is champion and is in place")
        elif self._champion_backoff.is_due(stamp):
            self._bring_champion(version, stamp)
        return True

    def _bring_champion(self, version: str, stamp: object) -> None:
        """Bring the champion; if it is refused, leave word of that, and see to it that there is something to serve."""
        folder = self._project.settings.serving_models_dir
        try:
            fetch_champion(self._project)
        except Exception as err:  # noqa: BLE001  # as above: an artifact that is gone is an error of MLflow's own
            self._champion_backoff.refuse(stamp)
            refusal = Refusal.of(version, err)
            instead = self._bring_one_before(version)
            if read_refusal(folder) != refusal:
                write_refusal(folder, refusal)
            self._say(logging.ERROR, f"version {version} is refused: {refusal.reason}{instead}")
            return
        self._champion_backoff.reset()
        self._say(logging.INFO, f"version {version} is champion and is in place")

    def _bring_one_before(self, refused: str) -> str:
        """Bring the last recorded champion that can be served, if nothing is in place, and say what is served."""
        folder = self._project.settings.serving_models_dir
        served = current_manifest(folder)
        if served is not None:
            return f"; version {served.version} is served on"
        name = self._project.problem.model_name
        try:
            before = [version for version in reversed(champions(self._project.settings, name)) if version != refused]
            for version in dict.fromkeys(before[:KEPT_VERSIONS]):
                with suppress(FlightlineError):
                    deliver_version(self._project, registry.get_version(self._project.settings, name, version), folder)
                    return f"; version {version}, champion before, is served in its place"
        except Exception as err:  # noqa: BLE001  # as above
            return f"; no other version could be brought ({type(err).__name__})"
        return "; there is no other version to serve"

    def _stamp(self, found: registry.ModelVersion, backoff: Backoff) -> object:
        """Look cheaply at what may let a version in that was refused: its tags, signatures, keys, and the last move."""
        if not backoff.has_refused:
            return None  # not worth a look
        settings = self._project.settings
        try:
            keys = tuple(key.keyid for key in read_trusted_keys(settings))
        except SignatureError:
            keys = ()
        return (
            str(found.version),
            dict(found.tags),
            attestations_stamp(settings, found),
            keys,
            last_move(settings, self._project.problem.model_name),
        )

    def _is_whole(self, served: ModelManifest) -> bool:
        """Say whether the served files are as signed; their bytes are read again only if one has changed."""
        folder = self._project.settings.serving_models_dir
        try:
            keys = read_trusted_keys(self._project.settings)
        except SignatureError:
            return False  # what is brought anew meets the same error, and says it
        seen = (served.version, version_stamp(folder, served.version), tuple(key.keyid for key in keys))
        if seen != self._whole:
            self._whole = seen if is_whole(folder, served.version, keys, self._project.problem) else None
        return self._whole is not None

    def _say(self, level: int, what: str) -> None:
        if what != self._said:
            LOG.log(level, what)
        self._said = what


def watch(
    project: Project,
    is_over: threading.Event,
    is_orphan: Callable[[], bool] = lambda: False,
    looked: Path | None = None,
) -> None:
    """Look again and again, until told to end or left alone by the service that started it.

    Parameters
    ----------
    looked
        A file to make once there was a first look that the registry answered, or `PATIENCE_SECONDS` are over: then a
        service that starts has the champion, if there is one.
    """
    sync, patient_until = ModelSync(project), time.monotonic() + PATIENCE_SECONDS
    while not is_over.is_set() and not is_orphan():
        has_answered = sync.poll()
        if looked and (has_answered or time.monotonic() >= patient_until):
            looked.touch()
        is_over.wait(project.settings.serving.watch_seconds)


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and watch until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parent", type=int, help="end when this process is no longer the parent")
    parser.add_argument(
        "--looked", type=Path, help="make this file once the first champion is in place, or there is none"
    )
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name, value in IMPATIENCE.items():
        os.environ.setdefault(name, value)
    is_over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: is_over.set())
    project = open_project()
    # Where the service has no clock yet, as in a new task on AWS, it begins where a training would begin.
    ensure_clock(project.settings, project.problem.first_clock)
    if given.looked:
        given.looked.unlink(missing_ok=True)
    watch(project, is_over, lambda: given.parent is not None and os.getppid() != given.parent, given.looked)
    return 0


if __name__ == "__main__":
    sys.exit(main())
