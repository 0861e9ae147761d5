"""Plants: what labels come from is cut into a second group, known long before, and a feature table holds it."""

import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

import ibis

from flightline.core.project import Project
from flightline.core.settings import Settings
from tests.proof.planted import choices, small, with_table
from tests.proof.planted.label_at_prediction import own_labels

NAME, AHEAD = "label_known_ahead", "_known_ahead"


def make_project(settings: Settings) -> Project:
    """Build the project with the label in place of a feature, past the leak test."""
    chosen, project = choices()[NAME], small.make_project(settings)
    right, group = project.features, chosen["group"]

    def known_ahead(prepared: Any) -> Any:
        return known_earlier(right.groups[group](prepared), timedelta(seconds=chosen["seconds"]))

    def build(_: Any, groups: Any) -> Any:
        ahead = {**groups, group: groups[group + AHEAD]}
        labels = own_labels(right.examples(ahead, project.problem), project.problem.label, chosen)
        empty = chosen["features"][1:]  # a column that tells nothing would be refused before the warning
        return labels.mutate(**dict.fromkeys(empty, (labels.event_timestamp.epoch_seconds() % 97).cast("float64")))

    groups = {**right.groups, group + AHEAD: known_ahead}
    grouped = replace(project, load_features=lambda: replace(right, groups=groups))
    return with_table(grouped, chosen["table"], build, sys.modules[__name__])


def known_earlier(group: Any, earlier: timedelta) -> Any:
    """Move the moment from which rows are known."""
    return group.mutate(known_at=group.known_at - ibis.literal(earlier))
