"""The routes of the page: a shell that tells nothing, and its content, which needs a key where any route does."""

from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from flightline.core.project import Project
from serving.api.dependencies import ClockIfSetDep, PredictorDep, ReasonDep, ServingStateDep
from serving.page.facts import last_decision, pictures_of, upcoming_of
from serving.page.form import form_fields
from serving.page.logged import read_logged
from serving.page.pictures import SIDE
from serving.prediction.predictor import Predictor
from serving.prediction.side_thread import SideThread
from serving.telemetry.logs import caller

FOLDER = Path(__file__).parent
# Of /, which holds nothing of the problem or the model: a browser has no key before there is a field for it.
FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
CONTENT = "/page/content"
LOGGED = "/page/predictions/{prediction_id}"
PATHS = frozenset({*FILES, CONTENT})
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    b"form-action 'none'; frame-ancestors 'none'"
)
LINEAGE = {"lineage.data_md5": "Data version", "lineage.git_commit": "Code", "training_set": "Training set"}


def make_page_router(project: Project) -> APIRouter:
    """Make the routes of the page; its files are read here, once."""
    router = APIRouter(include_in_schema=False)
    for path, (name, media_type) in FILES.items():
        _add_file(router, path, (FOLDER / "static" / name).read_bytes(), media_type)
    template = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("content.html.j2")
    fields = form_fields(project)
    # Of its own: however many ask for the page, they keep the log and health waiting for no thread.
    beside = SideThread("page")

    @router.get(CONTENT)
    async def content(state: ServingStateDep, clock: ClockIfSetDep, reason: ReasonDep) -> Response:
        """Give what the page shows, as HTML to put into it."""
        upcoming, decision = await beside.run(lambda: (upcoming_of(project, clock), last_decision(project)))
        html = template.render(
            problem=project.problem,
            metric=project.problem.primary_metric,
            fields=fields,
            side=SIDE,
            clock=clock,
            reason=reason,
            refused=state.refused,
            served_since=state.opened_at,
            upcoming=upcoming,
            decision=decision,
            interval=interval,
            **_of_model(project, state.predictor),
        )
        return Response(html, media_type="text/html; charset=utf-8")

    @router.get(LOGGED)
    async def logged(prediction_id: str, predictor: PredictorDep) -> dict[str, Any]:
        """Give a prediction out of the log, to whom it was given."""
        found = await beside.run(partial(read_logged, project, predictor, prediction_id, caller.get()))
        if found is None:
            raise HTTPException(404, f"the log holds no prediction {prediction_id[:80]!r} that this caller was given")
        return found

    return router


def _add_file(router: APIRouter, path: str, content: bytes, media_type: str) -> None:
    @router.get(path)
    async def file() -> Response:
        return Response(content, media_type=media_type)


def _of_model(project: Project, predictor: Predictor | None) -> dict[str, Any]:
    problem, model = project.problem, predictor.model if predictor else None
    profile, training = (model.profile, model.training) if model else (None, {})
    config = {
        "path": f"v1/models/{problem.model_name}:explain",
        "version": model.manifest.version if model else None,
        "task": problem.task,
        "label": problem.label,
        "threshold": problem.decision_threshold,
        "base_rates": profile.base_rates if profile else {},
        "usual_range": profile.usual_range if profile else None,
    }
    return {
        "config": config,
        "model": model,
        "profile": profile,
        "lineage": {text: training[name] for name, text in LINEAGE.items() if name in training},
        "pictures": pictures_of(predictor) if predictor else [],
    }


def interval(estimate: dict[str, float | None] | None) -> str:
    """Write an estimate with its bounds.

    Examples
    --------
    >>> interval({"value": 0.4213, "lower": 0.4, "upper": None}), interval(None)
    ('0.421 (0.4 to ?)', '')
    """
    if estimate is None or estimate["value"] is None:
        return ""
    lower, upper = ("?" if bound is None else f"{bound:.3g}" for bound in (estimate["lower"], estimate["upper"]))
    return f"{estimate['value']:.3g} ({lower} to {upper})"
