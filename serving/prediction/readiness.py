"""Whether predictions can be had, looked up seldom however often somebody asks."""

import asyncio
import logging
import time
from collections.abc import Callable

from flightline.adapters.event_clock import read_clock
from flightline.core.errors import ClockError, FeatureError
from flightline.core.settings import Settings
from serving.prediction.model_loader import ServingState
from serving.prediction.prediction_logger import PredictionLogger
from serving.telemetry.metrics import count_not_ready, set_features_behind, set_ready

LOG = logging.getLogger("serving")
KEPT_SECONDS = 1.0
LOOK_EVERY_SECONDS = 10.0  # without being asked, for whoever asks another worker


class Readiness:
    """The reason why a worker cannot predict, kept for a second: finding out writes to the prediction log.

    Each worker shows the others in the gauges that they share, so that any of them answers for all.

    Parameters
    ----------
    settings
        For the clock.
    logger
        The prediction log of this worker.
    """

    def __init__(self, settings: Settings, logger: PredictionLogger):
        self._settings, self._logger = settings, logger
        self._reason: str | None = None
        self._state: ServingState | None = None
        self._until = 0.0
        self._look: asyncio.Task[None] | None = None

    async def reason(self, state: ServingState) -> str | None:
        """Give the reason why predictions cannot be had of every worker; None if they can.

        Parameters
        ----------
        state
            What this worker predicts with.
        """
        # A look that is under way may be at the state before this one.
        while state is not self._state or time.monotonic() >= self._until:
            if self._look is None or self._look.done():
                self._look = asyncio.create_task(self._refresh(state))
            await asyncio.shield(self._look)  # one look for all who wait for it
        return self._reason or self._logger.reason_paused

    async def keep(self, state: Callable[[], ServingState]) -> None:
        """Look again and again, until cancelled: others go by what this worker showed last."""
        while True:
            try:
                await self.reason(state())
            except Exception:
                LOG.exception("looking whether this worker is ready failed")
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def _refresh(self, state: ServingState) -> None:
        self._reason = await asyncio.to_thread(self._find_reason, state)
        self._state, self._until = state, time.monotonic() + KEPT_SECONDS

    def _find_reason(self, state: ServingState) -> str | None:
        reasons = [state.reason, self._logger.reason_not_writable()]
        try:
            clock = read_clock(self._settings)
            if state.predictor is not None:
                features = state.predictor.features
                features.read([{}], clock)
                if features.watermarks:
                    set_features_behind((clock - min(features.watermarks.values())).total_seconds())
        except (ClockError, FeatureError) as err:
            reasons.append(str(err))
        reason = "; ".join(filter(None, reasons)) or None
        set_ready(reason is None)
        others, workers = count_not_ready()
        if reason is None and others:
            return f"{others} of {workers} workers cannot predict; the log says why"
        return reason
