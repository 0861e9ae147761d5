"""Plants: a feature table holds the example's own label, stamped at its prediction time."""

import sys
from typing import Any

import ibis

from flightline.core.project import Project
from flightline.core.settings import Settings
from tests.proof.planted import choices, small, with_table

NAME = "label_at_prediction"


def make_project(settings: Settings) -> Project:
    """Build the project with the label in place of a feature."""
    project = small.make_project(settings)
    chosen, problem, examples = choices()[NAME], project.problem, project.features.examples

    def build(right: Any, groups: Any) -> Any:
        feature, *others = chosen["features"]
        rows = examples(groups, problem)
        label = rows[problem.label]
        if problem.classes:  # names
            label = label.cases(*((name, number) for number, name in enumerate(problem.classes)))
        labels = rows.group_by(*chosen["keys"], "event_timestamp").aggregate(**{feature: label.max().cast("float64")})
        return labels.mutate(**{name: ibis.null("float64") for name in others})

    return with_table(project, chosen["table"], build, sys.modules[__name__])
