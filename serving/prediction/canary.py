"""The canary of one worker: which challenger runs beside the champion, who answers, and what is logged of both.

Off, it costs a request one look at an attribute. docs/decisions/0015-the-canary.md says why it
is as it is.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from flightline.adapters.model_store.canary_setting import canary_folder, read_setting, setting_stamp
from flightline.adapters.model_store.served_model import ServedModel, folder_stamp, load_served_model
from flightline.adapters.prediction_log.challenger_counts import add_counts
from flightline.core.errors import FlightlineError, LogError, ModelFileError, SignatureError
from flightline.core.prediction_record import instance_key
from flightline.core.settings import Settings
from flightline.problem.api_schema import Instance
from flightline.promotion.canary import CanarySetting, is_chosen
from serving.prediction.challenger import Challenger, ChallengerThread
from serving.prediction.model_loader import Assets
from serving.prediction.prediction_logger import Recorder
from serving.prediction.predictor import REQUEST_FIELDS, Answered, Predictor
from serving.prediction.self_test import rehearse
from serving.telemetry.logs import request_id
from serving.telemetry.metrics import record_bad_signature, record_canary, set_served

LOG = logging.getLogger("serving")
RETRY_SECONDS, COUNT_SECONDS = 10.0, 5.0
SHADOW_SECONDS = 5.0  # nobody waits for a shadow, but it is given up some time
MOST_AT_ONCE = 32


@dataclass(frozen=True)
class _Beside:
    """What an answer left to be logged beside it, or to be asked first."""

    challenger: Challenger
    predictor: Predictor
    clock: datetime
    request: str
    answered: Sequence[Answered]
    instances: Sequence[Instance]
    is_asked: bool


class Canary:
    """Lets a challenger predict beside the champion, or in its place, as the setting says that the watcher brings.

    Parameters
    ----------
    settings
        Where the challenger lies, and its bounds.
    recorder
        The prediction log of this worker.
    """

    def __init__(self, settings: Settings, recorder: Recorder):
        self._settings, self._recorder = settings, recorder
        self._folder = canary_folder(settings)
        self._thread = ChallengerThread()
        self._seen: object = None
        self._retry_at = 0.0
        self._ended: list[Challenger] = []
        self._beside: asyncio.Queue[_Beside] = asyncio.Queue()
        self._rows_beside = 0
        self.challenger: Challenger | None = None

    def refresh(self, assets: Assets) -> None:
        """Follow the setting and the champion; whatever is wrong with a challenger, it just does not run."""
        seen = (setting_stamp(self._folder), folder_stamp(self._folder), assets.predictor)
        if seen == self._seen and time.monotonic() < self._retry_at:
            return
        setting = read_setting(self._folder)
        self._seen, self._retry_at = seen, time.monotonic() + RETRY_SECONDS
        try:
            model = self._load(setting, assets.predictor)
        except FlightlineError as err:
            LOG.error("the challenger cannot run: %s", err)
            record_canary("refused", 1)
            if isinstance(err, SignatureError):
                record_bad_signature("challenger")
            model = None
        old = self.challenger
        if setting is None or model is None:
            self.challenger = None
        elif old is None or (old.setting, old.model) != (setting, model):
            self.challenger = Challenger(setting, model, self._thread, self._settings.serving.canary_seconds)
            LOG.info("version %s runs beside version %s (%s)", setting.version, setting.champion, setting.mode)
        if old is not None and old is not self.challenger:
            self._ended.append(old)
        self._tell()

    def _load(self, setting: CanarySetting | None, champion: Predictor | None) -> ServedModel | None:
        """Give the setting's model, if it can serve on the champion's features; None if there is nothing to run yet."""
        if setting is None or champion is None or champion.model.manifest.version != setting.champion:
            return None
        old = self.challenger
        model = (
            old.model
            if old and old.setting.version == setting.version
            else load_served_model(self._folder, self._settings)
        )
        if model is None or model.manifest.version != setting.version:
            raise ModelFileError(f"version {setting.version} has not been brought here yet")
        rehearse(Predictor(model, champion.features))
        return model

    def _tell(self) -> None:
        running = self.challenger
        for role, mode in (("shadow", "shadow"), ("challenger", "share")):
            is_it = running is not None and running.setting.mode == mode
            set_served(role, running.setting.version if running and is_it else None)

    async def answer(
        self, predictor: Predictor, answered: list[Answered], instances: Sequence[Instance], clock: datetime
    ) -> list[Answered]:
        """Let the challenger have its part in an answer; give who answers each instance.

        Parameters
        ----------
        predictor, answered
            The champion and its answers, which stand wherever the challenger has none.
        """
        challenger = self.challenger
        if challenger is None or challenger.setting.champion != predictor.model.manifest.version:
            return answered
        chosen = self._chosen(challenger.setting, instances)
        if not any(chosen):
            self._put(_Beside(challenger, predictor, clock, request_id.get(), answered, instances, False))
            return answered
        theirs = await challenger.ask(answered, instances, self._settings.serving.canary_seconds)
        if theirs is None:
            return answered
        given = [
            replace(their, role="challenger") if is_their else our
            for is_their, their, our in zip(chosen, theirs, answered, strict=True)
        ]
        beside = [
            replace(our, role="shadow") if is_their else their
            for is_their, their, our in zip(chosen, theirs, answered, strict=True)
        ]
        self._put(_Beside(challenger, predictor, clock, request_id.get(), beside, instances, True))
        return given

    def _chosen(self, setting: CanarySetting, instances: Sequence[Instance]) -> list[bool]:
        if setting.mode != "share":
            return [False]
        keys = [instance_key({name: getattr(one, name) for name in REQUEST_FIELDS}) for one in instances]
        return [is_chosen(key, setting.version, setting.share) for key in keys]

    def _put(self, beside: _Beside) -> None:
        if self._rows_beside + len(beside.answered) > self._settings.serving.canary_rows:
            beside.challenger.drop(len(beside.answered))
            return
        self._rows_beside += len(beside.answered)
        self._beside.put_nowait(beside)

    async def run(self) -> None:
        """Ask and log what waits beside the answers, again and again, until cancelled."""
        while True:
            waiting = [await self._beside.get()]
            while not self._beside.empty() and len(waiting) < MOST_AT_ONCE:
                waiting.append(self._beside.get_nowait())
            try:
                await self._log(waiting)
            except Exception:
                LOG.exception("what a challenger said could not be logged")
            finally:
                self._rows_beside -= sum(len(one.answered) for one in waiting)

    async def _log(self, waiting: Sequence[_Beside]) -> None:
        rows = []
        for one in waiting:
            answered = one.answered
            if not one.is_asked:
                answered = await one.challenger.ask(one.answered, one.instances, SHADOW_SECONDS) or []
            if answered:
                rows += self._recorder.rows_beside(one.predictor, one.clock, answered, one.instances, one.request)
        try:
            await self._recorder.put_beside(rows)
        except LogError as err:
            LOG.warning("what a challenger said is not in the log: %s", err)

    async def keep_counts(self) -> None:
        """Write down what was counted, every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(COUNT_SECONDS)
            await self.write_counts()

    async def write_counts(self) -> None:
        """Write down what was counted of the challenger, and of those that ended."""
        running, ended = self.challenger, self._ended
        self._ended = []
        for one in [*ended, *([running] if running else [])]:
            if (counts := one.take_counts()) == type(counts)():
                continue
            try:
                await asyncio.to_thread(add_counts, self._settings, one.setting, counts)
            except LogError as err:
                one.counts = one.counts + counts
                self._ended += [one] if one is not running else []
                LOG.warning("what was counted of a challenger is not written yet: %s", err)

    async def close(self) -> None:
        """Write down what was counted; what waits to be asked is let go."""
        with suppress(Exception):
            await self.write_counts()
