"""Answers and logs requests as the service would, without HTTP: `python -m serving.replay`, a line in, a line out.

A demo lives through past weeks with it: the same loading, features, model, challenger and log as behind the routes.

    {"status": true}        {"ready": ..., "watermarks": {...}}, after looking for a new model, challenger and features
    {"instances": [...]}    {"answered": n}, when the predictions are on disk, those of a challenger too

What goes wrong is answered as {"error": "..."}.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from pydantic import ValidationError

from flightline.adapters.event_clock import read_clock
from flightline.core.errors import FlightlineError, ModelFileError
from flightline.core.project import open_project
from serving.app import create_app
from serving.prediction.predictor import check_features, check_still_to_come
from serving.server import prepare_worker
from serving.telemetry.logs import begin_request

PAUSE_SECONDS = 0.001


async def status(app: FastAPI) -> dict[str, Any]:
    """Take what is new, and say what is served."""
    loader, canary = app.state.model_loader, app.state.canary
    await asyncio.to_thread(loader.refresh)
    await asyncio.to_thread(canary.refresh, loader.state)
    predictor = loader.state.predictor
    watermarks = predictor.features.watermarks if predictor else {}
    return {
        "ready": predictor is not None,
        "reason": loader.state.reason,
        "watermarks": {view: moment.isoformat() for view, moment in watermarks.items()},
    }


async def answer(app: FastAPI, requests: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Predict for instances as of the event clock, and log it.

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
        return await status(app) if "status" in asked else await answer(app, asked["instances"])
    except (FlightlineError, ValidationError) as err:
        return {"error": f"{type(err).__name__}: {err}"}


async def _run() -> None:
    project = open_project()
    prepare_worker(project.settings)
    app = create_app(project)
    async with app.router.lifespan_context(app):
        while line := await asyncio.to_thread(sys.stdin.readline):
            sys.stdout.write(json.dumps(await answer_line(app, line)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_run())
