"""Answers and logs requests as the service would, without HTTP: `python -m serving.replay`, a line in, a line out.

A demo lives through past weeks with it: the same loading, model, challenger and log as behind the routes. Features come
with each request, joined beforehand as of its moment: a store that is loaded in time gives the same, and to load one as
often would take an hour.

    {"status": true}                       {"ready": ..., "reason": ...}, after looking for a new model and challenger
    {"instances": [...], "rows": [...]}    {"answered": n}, when the predictions are on disk, those of a challenger too

What goes wrong is answered as {"error": "..."}.
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from fastapi import FastAPI
from pydantic import ValidationError

from flightline.adapters.event_clock import read_clock
from flightline.adapters.feast.online_features import FeatureRow
from flightline.core.errors import FeatureError, FlightlineError, ModelFileError
from flightline.core.project import Project, open_project
from serving.app import create_app
from serving.prediction.model_loader import open_feature_service
from serving.prediction.predictor import FeatureReader, check_features, check_still_to_come
from serving.server import prepare_worker
from serving.telemetry.logs import begin_request

PAUSE_SECONDS = 0.001


class JoinedFeatures:
    """The project's feature service, but for its values: those of the rows that came with a request."""

    def __init__(self, service: FeatureReader):
        self._service = service
        self._rows: list[FeatureRow] | None = None
        self.names, self.views = service.names, service.views
        self.definitions_sha256 = service.definitions_sha256
        self.brief_definitions_sha256 = service.brief_definitions_sha256
        self.watermarks: Mapping[str, datetime] = service.watermarks

    @classmethod
    def open(cls, project: Project) -> "JoinedFeatures":
        """Open the project's feature service."""
        return cls(open_feature_service(project))

    def put(self, rows: Sequence[Mapping[str, Any]], clock: datetime) -> None:
        """Take the rows of the next request, each with values, event_timestamps and missing; see `FeatureRow`."""
        self._rows = [
            FeatureRow(
                row["values"],
                {view: datetime.fromisoformat(stamp) for view, stamp in row["event_timestamps"].items()},
                row["missing"],
            )
            for row in rows
        ]
        self.watermarks = dict.fromkeys(self.views, clock)

    def read(self, entity_rows: Sequence[Mapping[str, object]], as_of: datetime) -> list[FeatureRow]:
        """Give the rows that were put, or where there are none what the service has."""
        if self._rows is None:
            return self._service.read(entity_rows, as_of)
        rows, self._rows = self._rows, None
        if len(rows) != len(entity_rows):
            raise FeatureError(f"got {len(rows)} rows of features, expected {len(entity_rows)}: one for each instance")
        return rows

    def close(self) -> None:
        """Close the service."""
        self._service.close()


async def status(app: FastAPI) -> dict[str, Any]:
    """Take what is new, and say whether predictions can be had."""
    loader, canary = app.state.model_loader, app.state.canary
    await asyncio.to_thread(loader.refresh)
    await asyncio.to_thread(canary.refresh, loader.state)
    return {"ready": loader.state.predictor is not None, "reason": loader.state.reason}


async def answer(
    app: FastAPI, requests: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Predict for instances as of the event clock, and log it.

    Parameters
    ----------
    rows
        The features of each instance as of the event clock; see `JoinedFeatures.put`.

    Raises
    ------
    FlightlineError
        If one of them cannot be answered, or the log cannot be written to.
    """
    project, canary, state = app.state.project, app.state.canary, app.state.model_loader.state
    if state.predictor is None:
        raise ModelFileError(state.reason or "no model is loaded")
    clock = read_clock(project.settings)
    instances = [project.schemas.instance.model_validate_json(json.dumps(request)) for request in requests]
    check_still_to_come(project, instances, clock)
    state.predictor.features.put(rows, clock)
    results = state.predictor.predict(instances, clock)
    check_features(project.problem, results)
    if canary.challenger is not None:
        results = await canary.apply(state.predictor, results, instances, clock)
    await app.state.prediction_logger.record("predict", state.predictor, clock, results, instances)
    while canary.pending_rows:  # nobody waits here, so none is dropped for want of room
        await asyncio.sleep(PAUSE_SECONDS)
    return {"answered": len(results)}


async def answer_line(app: FastAPI, line: str) -> dict[str, Any]:
    """Do what a line asks for."""
    begin_request(())  # by whose id a challenger's prediction is found beside the champion's
    asked = json.loads(line)
    try:
        return await (status(app) if "status" in asked else answer(app, asked["instances"], asked["rows"]))
    except (FlightlineError, ValidationError) as err:
        return {"error": f"{type(err).__name__}: {err}"}


async def _run() -> None:
    project = open_project()
    prepare_worker(project.settings)
    app = create_app(project, JoinedFeatures.open)
    async with app.router.lifespan_context(app):
        while line := await asyncio.to_thread(sys.stdin.readline):
            sys.stdout.write(json.dumps(await answer_line(app, line)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_run())
