"""The toy problem with a number to predict: how many units a bakery will sell. All but the label is shared."""

from dataclasses import replace

from pydantic import BaseModel, Field

from flightline.core.problem_spec import Thresholds
from flightline.core.project import Project
from flightline.core.response import Answer
from flightline.core.settings import Settings
from tests import toy_problem

PROBLEM = replace(
    toy_problem.PROBLEM,
    task="regression",
    label="units",
    primary_metric="rmse",
    thresholds=Thresholds(
        floors={"r2": 0.5}, ceilings={"rmse": 15.0}, implausible={"r2": 0.999}, slice_margin=0.1, min_slice_rows=100
    ),
)


class Outcome(BaseModel):
    """How much the shop will sell."""

    units: float = Field(description="Units sold.")


class Prediction(Answer, Outcome):
    """An outcome, and what it rests on."""


def make_project(settings: Settings) -> Project:
    """Build the project of the toy problem's regression."""
    toy = toy_problem.make_project(settings)
    return replace(toy, problem=PROBLEM, schemas=replace(toy.schemas, prediction=Prediction))
