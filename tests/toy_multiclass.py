"""The toy problem with three classes to predict: how much bread will be left. All but the label is shared."""

from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, Field

from flightline.core.problem_spec import Thresholds
from flightline.core.project import Project
from flightline.core.response import Answer
from flightline.core.settings import Settings
from tests import toy_problem

PROBLEM = replace(
    toy_problem.PROBLEM,
    task="multiclass",
    label="left_over",
    classes=("none", "little", "much"),
    thresholds=Thresholds(
        floors={"roc_auc": 0.7, "accuracy": 0.5},
        ceilings={"brier": 0.5, "ece": 0.1},
        implausible={"roc_auc": 0.995},
        slice_margin=0.1,
        min_slice_rows=100,
    ),
)


class Outcome(BaseModel):
    """How much the shop will have left."""

    probabilities: dict[Literal["none", "little", "much"], float] = Field(description="Of each class.")
    left_over: Literal["none", "little", "much"] = Field(description="The likeliest class.")


class Prediction(Answer, Outcome):
    """An outcome, and what it rests on."""


def make_project(settings: Settings) -> Project:
    """Build the project of the toy problem's multiclass task."""
    toy = toy_problem.make_project(settings)
    return replace(toy, problem=PROBLEM, schemas=replace(toy.schemas, prediction=Prediction))
