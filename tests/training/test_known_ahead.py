"""A group that claims to be known earlier than it can be: what of it is seen, on both toy problems."""

from collections.abc import Iterator
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest

from flightline.adapters import duckdb_engine as engine
from flightline.core.errors import FeatureError
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.evaluation.single_feature import find_suspect, judge_alone
from flightline.training.example_checks import check_rows
from tests import toy_problem, toy_regression

PROJECTS = {"classification": toy_problem, "regression": toy_regression}


@pytest.fixture(params=PROJECTS)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    (tmp_path / "data").mkdir()
    toy_problem.write_raw(tmp_path / "data")
    return PROJECTS[request.param].make_project(Settings(root=tmp_path))


@pytest.fixture
def groups(project: Project) -> Iterator[dict[str, ibis.Table]]:
    with engine.connect(1) as connection:
        raw = engine.load_raw(connection, project.settings.data_dir, project.raw_tables.contracts)
        yield engine.build_groups(connection, raw, project.features, project.problem.first_clock)


def examples_of(project: Project, groups: dict[str, ibis.Table], early: str | None = None) -> pd.DataFrame:
    """Compute the examples, one group said to be known 28 days earlier."""
    if early:
        groups = groups | {early: groups[early].mutate(known_at=groups[early].known_at - ibis.interval(days=28))}
    return engine.to_frame(project.features.examples(groups, project.problem).order_by("event_timestamp", "example_id"))


def test_labels_from_a_group_known_too_early_are_refused(project, groups):
    for name in (None, *set(groups) - {"closings"}):
        check_rows(examples_of(project, groups, early=name), project.problem)
    with pytest.raises(
        FeatureError, match=r"known before their event_timestamp, .* correct known_at of their group in av"
    ):
        check_rows(examples_of(project, groups, early="closings"), project.problem)


def test_a_second_group_that_knows_the_label_ahead_gives_a_feature_that_is_too_good(project, groups):
    problem = project.problem
    examples = examples_of(project, groups).dropna(subset=[problem.label]).reset_index(drop=True)
    known_ahead = examples_of(project, groups, early="closings").set_index("example_id")[problem.label]
    noise = np.random.default_rng(0).normal(size=len(examples))
    honest = examples[problem.label] + noise * examples[problem.label].std() * 2
    features = pd.DataFrame({"honest": honest, "ahead": examples["example_id"].map(known_ahead).astype(float)})
    before = pd.Series(np.arange(len(examples)) < len(examples) / 2)
    table = judge_alone(problem.task, problem.primary_metric, features, examples[problem.label], before, ~before)
    assert find_suspect(table, {}).startswith("ahead puts examples in the order of their labels")
    assert find_suspect(table[table["feature"] == "honest"].assign(gain=0.05), {}) is None
