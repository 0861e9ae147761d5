"""Problem packages of the copies: the project's own problem on less data, and with one part of it done wrong.

A copy names one by FLIGHTLINE_PROBLEM_PACKAGE. What is done wrong to which table or column is chosen beforehand
from the declarations and the data (`tests/proof/inside/survey.py`), and read from `choices.json` here.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from flightline.core.project import Project

PACKAGE = __name__
CHOICES = Path(__file__).parent / "choices.json"


def choices() -> dict[str, Any]:
    """Read what was chosen for this copy; empty where nothing was."""
    return dict(json.loads(CHOICES.read_text(encoding="utf-8"))) if CHOICES.is_file() else {}


def write_choices(**more: object) -> None:
    """Add to what was chosen for this copy."""
    CHOICES.write_text(json.dumps({**choices(), **more}, indent=2, default=str), encoding="utf-8")


def with_table(project: Project, name: str, build: Callable[..., Any], module: ModuleType) -> Project:
    """Replace a feature table.

    Parameters
    ----------
    build
        From the right function and the groups to a table.
    module
        Where it is defined: its source must be in the key of the feature tables, or the right ones would be reused.
    """
    right = project.features
    tables = {**right.tables, name: lambda groups: build(right.tables[name], groups)}
    wrong = replace(right, tables=tables, modules=(*right.modules, module))
    return replace(project, load_features=lambda: wrong)


def with_requests(
    project: Project,
    module: ModuleType,
    keys: Callable[..., Mapping[str, Any]] | None = None,
    features: Callable[..., Mapping[str, Any]] | None = None,
) -> Project:
    """Replace what follows from a request; each function gets the right values, and the requests."""
    right = project.requests
    wrong = replace(
        right,
        keys=(lambda requests: keys(right.keys(requests), requests)) if keys else right.keys,
        features=(lambda requests: features(right.features(requests), requests)) if features else right.features,
        modules=(*right.modules, module),
    )
    return replace(project, requests=wrong)
