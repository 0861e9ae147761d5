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
from functools import partial

from pydantic import BaseModel

from flightline.adapters.model_store.canary_setting import canary_folder, read_setting, setting_stamp
from flightline.adapters.model_store.served_model import folder_stamp, load_served_model, read_refusal
from flightline.adapters.prediction_log.challenger_counts import add_counts
from flightline.core.errors import FlightlineError, LogError, MeaningError, ModelFileError, SignatureError
from flightline.core.prediction_record import instance_key
from flightline.core.project import Project
from flightline.promotion.canary import CanarySetting, is_chosen
from serving.prediction.challenger import Challenger
from serving.prediction.model_loader import ServingState
from serving.prediction.prediction_logger import PredictionLogger
from serving.prediction.predictor import PredictionResult, Predictor
from serving.prediction.self_test import run_self_test
from serving.prediction.side_thread import SideThread, run_beside_if_many
from serving.telemetry.logs import caller, request_id
from serving.telemetry.metrics import record_bad_signature, record_canary, set_served

LOG = logging.getLogger("serving")
RETRY_SECONDS, COUNT_SECONDS = 10.0, 5.0
SHADOW_SECONDS = 5.0  # nobody waits for a shadow, but it is given up some time
MAX_AT_ONCE = 32


@dataclass(frozen=True)
class _Pending:
    """Predictions of an answer that has left: to be logged as they are, or for the challenger to predict first."""

    challenger: Challenger
    predictor: Predictor
    clock: datetime
    request: str
    caller: str
    results: Sequence[PredictionResult]
    instances: Sequence[BaseModel]
    is_predicted: bool


class Canary:
    """Lets a challenger predict beside the champion, or in its place, as the setting says that the model sync brings.

    Parameters
    ----------
    project
        Where the challenger lies, its bounds, and what it must be of.
    logger
        The prediction log of this worker.
    """

    def __init__(self, project: Project, logger: PredictionLogger):
        self._project, self._logger = project, logger
        self._serving = project.settings.serving
        self._folder = canary_folder(project.settings)
        self._thread = SideThread("challenger")
        self._seen: object = None
        self._retry_at = 0.0
        self._ended: list[Challenger] = []
        self._pending: asyncio.Queue[_Pending] = asyncio.Queue()
        self._pending_rows = 0
        self.challenger: Challenger | None = None

    @property
    def pending_rows(self) -> int:
        """Rows that wait to be predicted by a challenger, or to be logged."""
        return self._pending_rows

    def refresh(self, state: ServingState) -> None:
        """Follow the setting and the champion; whatever is wrong with a challenger, it just does not run."""
        seen = (setting_stamp(self._folder), folder_stamp(self._folder), state.predictor)
        if seen == self._seen and time.monotonic() < self._retry_at:
            return
        setting = read_setting(self._folder)
        self._seen, self._retry_at = seen, time.monotonic() + RETRY_SECONDS
        refused = read_refusal(self._folder)
        if refused is not None and refused.about == "signature":  # by the model sync
            record_bad_signature("challenger")
        try:
            predictor = self._load(setting, state.predictor)
        except FlightlineError as err:
            LOG.error("the challenger cannot run: %s", err)
            record_canary("refused", 1)
            if isinstance(err, SignatureError):
                record_bad_signature("features" if isinstance(err, MeaningError) else "challenger")
            predictor = None
        old = self.challenger
        if setting is None or predictor is None:
            self.challenger = None
        elif old is None or (old.setting, old.predictor) != (setting, predictor):
            self.challenger = Challenger(setting, predictor, self._thread, self._serving.canary_seconds)
            LOG.info("version %s runs beside version %s (%s)", setting.version, setting.champion, setting.mode)
        if old is not None and old is not self.challenger:
            self._ended.append(old)
        self._show_in_metrics()

    def _load(self, setting: CanarySetting | None, champion: Predictor | None) -> Predictor | None:
        """Give the setting's model on the champion's features, if it can serve; None if there is nothing to run yet."""
        if setting is None or champion is None or champion.model.manifest.version != setting.champion:
            return None
        old = self.challenger
        model = (
            old.predictor.model
            if old and (old.setting.version, old.setting.mode) == (setting.version, setting.mode)
            # What answers callers must be approved for that; a shadow need not be.
            else load_served_model(self._folder, self._project, "challenger" if setting.mode == "split" else "shadow")
        )
        if model is None or model.manifest.version != setting.version:
            raise ModelFileError(f"version {setting.version} has not been brought here yet")
        run_self_test(predictor := Predictor(self._project, model, champion.features))
        return predictor

    def _show_in_metrics(self) -> None:
        running = self.challenger
        for role, mode in (("shadow", "shadow"), ("challenger", "split")):
            is_role = running is not None and running.setting.mode == mode
            set_served(role, running.setting.version if running and is_role else None)

    async def apply(
        self, predictor: Predictor, results: list[PredictionResult], instances: Sequence[BaseModel], clock: datetime
    ) -> list[PredictionResult]:
        """Let the challenger have its part in an answer; give the predictions to answer with.

        Parameters
        ----------
        predictor, results
            The champion and its predictions, which stand wherever the challenger has none.
        """
        challenger = self.challenger
        if challenger is None or challenger.setting.champion != predictor.model.manifest.version:
            return results
        chosen = self._chosen(challenger, instances)
        if not any(chosen):
            self._put(_Pending(challenger, predictor, clock, request_id.get(), caller.get(), results, instances, False))
            return results
        predicted = await challenger.predict(results, instances, clock, self._serving.canary_seconds)
        if predicted is None:
            return results
        answered = [
            replace(its, role="challenger") if is_its else result
            for is_its, its, result in zip(chosen, predicted, results, strict=True)
        ]
        shadow = [
            replace(result, role="shadow") if is_its else its
            for is_its, its, result in zip(chosen, predicted, results, strict=True)
        ]
        self._put(_Pending(challenger, predictor, clock, request_id.get(), caller.get(), shadow, instances, True))
        return answered

    def _chosen(self, challenger: Challenger, instances: Sequence[BaseModel]) -> list[bool]:
        setting, fields = challenger.setting, challenger.predictor.fields
        if setting.mode != "split":
            return [False]
        keys = [instance_key({name: getattr(instance, name) for name in fields}) for instance in instances]
        return [is_chosen(key, setting.version, setting.share) for key in keys]

    def _put(self, pending: _Pending) -> None:
        if self._pending_rows + len(pending.results) > self._serving.canary_rows:
            pending.challenger.drop(len(pending.results))
            return
        self._pending_rows += len(pending.results)
        self._pending.put_nowait(pending)

    async def run(self) -> None:
        """Predict and log what is pending, again and again, until cancelled."""
        while True:
            batch = [await self._pending.get()]
            while not self._pending.empty() and len(batch) < MAX_AT_ONCE:
                batch.append(self._pending.get_nowait())
            try:
                await self._log(batch)
            except Exception:
                LOG.exception("predictions of a challenger could not be logged")
            finally:
                self._pending_rows -= sum(len(pending.results) for pending in batch)

    async def _log(self, batch: Sequence[_Pending]) -> None:
        rows = []
        for pending in batch:
            results = pending.results
            if not pending.is_predicted:
                asked = (results, pending.instances, pending.clock)
                results = await pending.challenger.predict(*asked, SHADOW_SECONDS) or []
            if results:
                made = (pending.predictor, pending.clock, results, pending.instances, pending.request, pending.caller)
                rows += await run_beside_if_many(len(results), partial(self._logger.shadow_rows, *made))
        try:
            await self._logger.write_shadow_rows(rows)
        except LogError as err:
            LOG.warning("predictions of a challenger are not in the log: %s", err)

    async def keep_counts(self) -> None:
        """Write down what was counted, every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(COUNT_SECONDS)
            await self.write_counts()

    async def write_counts(self) -> None:
        """Write down what was counted of the challenger, and of those that ended."""
        running, ended = self.challenger, self._ended
        self._ended = []
        for challenger in [*ended, *([running] if running else [])]:
            if (counts := challenger.take_counts()) == type(counts)():
                continue
            try:
                await asyncio.to_thread(add_counts, self._project.settings, challenger.setting, counts)
            except LogError as err:
                challenger.counts = challenger.counts + counts
                self._ended += [challenger] if challenger is not running else []
                LOG.warning("what was counted of a challenger is not written yet: %s", err)

    async def close(self) -> None:
        """Write down what was counted; what is pending is let go."""
        with suppress(Exception):
            await self.write_counts()
