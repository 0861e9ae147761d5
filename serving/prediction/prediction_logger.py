"""Puts each prediction on disk before its answer leaves, and counts it."""

import asyncio
import logging
import time
from collections import Counter as Tally
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

from flightline.adapters.feast.online_features import FeatureRow
from flightline.adapters.prediction_log.log import LoggedPrediction, PredictionLog, instance_key
from flightline.core.errors import LogError
from flightline.core.prediction_record import Door
from flightline.core.settings import Settings
from flightline.problem.api_schema import Instance, moment_of, prediction_time_of
from serving.prediction.predictor import REQUEST_FIELDS, Answered, Predictor
from serving.telemetry.logs import request_id
from serving.telemetry.metrics import (
    record_features,
    record_log_failure,
    record_log_write,
    record_prediction,
    record_rows,
)
from serving.telemetry.tracing import span

LOG = logging.getLogger("serving")
PAUSE_SECONDS = 1.0
NOTHING_KNOWN = FeatureRow({}, {}, {})


class Recorder:
    """The prediction log of one worker, opened by `open` or when it is needed, and again whenever that has failed.

    Parameters
    ----------
    settings
        Where the log is, and whether answers may leave without it.
    """

    def __init__(self, settings: Settings):
        self._settings = settings
        self._is_enabled = settings.prediction_log.enabled
        self._is_required = self._is_enabled and settings.prediction_log.required
        # A file's lock is short, a server's round trip is not: it must not hold up other requests.
        url = settings.prediction_log.url.get_secret_value()
        self._is_file = not url or url.startswith("sqlite")
        self._log: PredictionLog | None = None
        self._broken: tuple[float, str] = (0.0, "")

    async def record(
        self,
        door: Door,
        predictor: Predictor,
        clock: datetime,
        answered: Sequence[Answered],
        instances: Sequence[Instance | None],
    ) -> list[str]:
        """Write what was answered, and give the predictions' ids; they are on disk when this returns.

        Raises
        ------
        LogError
            If they cannot be written, unless the settings allow answers without the log.
        """
        _count(door, predictor, clock, answered)
        if not self._is_enabled:
            return [uuid4().hex for _ in answered]
        rows = _rows(door, predictor, clock, answered, instances, request_id.get())
        await self._put(rows)
        return [row.prediction_id for row in rows]

    def rows_beside(
        self,
        predictor: Predictor,
        clock: datetime,
        answered: Sequence[Answered],
        instances: Sequence[Instance | None],
        request: str,
    ) -> list[LoggedPrediction]:
        """Make the rows of predictions that were made beside an answer, and count them."""
        for one in answered:
            record_prediction(*_maker(one, predictor))
        return _rows("predict", predictor, clock, answered, instances, request)

    async def put_beside(self, rows: Sequence[LoggedPrediction]) -> None:
        """Write such rows; no answer waits for them.

        Raises
        ------
        LogError
            If they cannot be written.
        """
        if rows and self._is_enabled:
            await self._put(rows)

    async def _put(self, rows: Sequence[LoggedPrediction]) -> None:
        with span("log", rows=len(rows)):
            started = time.perf_counter()
            try:
                if self._is_file:
                    self._write(rows)
                else:
                    await asyncio.to_thread(self._write, rows)
            except LogError as err:
                record_log_failure()
                if self._is_required:
                    raise
                LOG.warning("answered without the prediction log: %s", err)
            else:
                record_log_write(time.perf_counter() - started, len(rows))

    def _write(self, rows: Sequence[LoggedPrediction]) -> None:
        until, reason = self._broken
        if time.monotonic() < until:
            raise LogError(reason)
        try:
            if self._log is None:
                self._log = PredictionLog.open(self._settings)
            self._log.write(rows)
        except LogError as err:
            # A locked log takes its whole timeout to say so: those that come meanwhile are told at once.
            self._broken = (time.monotonic() + PAUSE_SECONDS, str(err))
            raise

    async def why_not(self) -> str | None:
        """Say why predictions cannot be written, if they must be; None if all is well."""
        if not self._is_required:
            return None
        try:
            await asyncio.to_thread(self._check)
        except LogError as err:
            return str(err)
        return None

    async def open(self) -> None:
        """Open the log before a request has to wait for that; what is wrong is written down, and tried again later."""
        if reason := await self.why_not():
            LOG.warning("predictions cannot be logged yet: %s", reason)

    def _check(self) -> None:
        if self._log is None:
            self._log = PredictionLog.open(self._settings)
        self._log.check()
        self._broken = (0.0, "")

    def close(self) -> None:
        """Let go of the log."""
        if self._log is not None:
            self._log.close()


def _rows(
    door: Door,
    predictor: Predictor,
    clock: datetime,
    answered: Sequence[Answered],
    instances: Sequence[Instance | None],
    request: str,
) -> list[LoggedPrediction]:
    now = datetime.now(UTC)
    watermarks = predictor.features.watermarks if door == "predict" else {}
    rows = []
    for one, instance in zip(answered, instances, strict=True):
        keys = {name: getattr(instance, name) for name in REQUEST_FIELDS} if instance else {}
        known = one.row or NOTHING_KNOWN
        manifest = (one.by or predictor.model).manifest
        rows.append(
            LoggedPrediction(
                prediction_id=uuid4().hex,
                request_id=request,
                logged_at=now,
                clock=clock,
                # Ready features do not say what moment they are about.
                prediction_time=prediction_time_of(instance) if instance else clock,
                moment=moment_of(instance) if instance else clock,
                instance_key=instance_key(keys),
                keys=keys,
                features=one.inputs,
                event_timestamps=known.event_timestamps,
                watermarks=watermarks,
                missing=known.missing,
                prediction=one.value,
                model_name=manifest.name,
                model_version=manifest.version,
                feature_service=manifest.feature_service,
                role=one.role,
                door=door,
            )
        )
    return rows


def _maker(one: Answered, predictor: Predictor) -> tuple[str, str]:
    """Say which version gave an answer, and in which role."""
    return (one.by or predictor.model).manifest.version, one.role


def _count(door: Door, predictor: Predictor, clock: datetime, answered: Sequence[Answered]) -> None:
    for maker, count in Tally(_maker(one, predictor) for one in answered).items():
        record_rows(door, count, *maker)
    rows = [one.row for one in answered if one.row is not None]
    if rows:
        record_features(
            (row.missing for row in rows),
            ({view: (clock - stamp).total_seconds() for view, stamp in row.event_timestamps.items()} for row in rows),
        )
