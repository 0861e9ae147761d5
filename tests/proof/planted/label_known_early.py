"""Plants: a feature table holds the example's own label, of a group that claims to have known it at prediction time.

No leak test can see it: it believes `known_at`. What can be seen is that the feature is too good.
"""

import sys
from dataclasses import replace
from typing import Any

from flightline.core.project import Project
from flightline.core.settings import Settings
from tests.proof.planted import choices, small, with_table

NAME = "label_known_early"


def make_project(settings: Settings) -> Project:
    """Build the project with the label in place of one feature, other numbers in the rest, and one more group."""
    project = small.make_project(settings)
    chosen, problem, right = choices()[NAME], project.problem, project.features

    def known_early(prepared: Any) -> Any:
        groups = {name: group(prepared) for name, group in right.groups.items()}
        rows = right.examples(groups, problem)
        label = rows[problem.label]
        number = label.cast("float64")
        if problem.classes:
            number = label.cases(*((name, float(place)) for place, name in enumerate(problem.classes)))
        labelled = rows.mutate(planted=number).filter(label.notnull())
        labels = labelled.group_by(*chosen["keys"], "event_timestamp").aggregate(planted=labelled.planted.max())
        return labels.mutate(known_at=labels.event_timestamp)

    def build(_: Any, groups: Any) -> Any:
        labels = groups[NAME]
        unlike = (labels.event_timestamp.epoch_seconds() % 1009).cast("float64")
        others = dict.fromkeys(chosen["features"], unlike)
        return labels.select(*chosen["keys"], "event_timestamp", **{**others, chosen["feature"]: labels.planted})

    early = replace(project, load_features=lambda: replace(right, groups={**right.groups, NAME: known_early}))
    return with_table(early, chosen["table"], build, sys.modules[__name__])
