"""The report of a change: what it says when nothing changed, when a slice is worse, and what it needs of git."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flightline.core.errors import TrainingError
from flightline.core.prediction_record import as_column, from_column
from flightline.core.problem_spec import Problem
from flightline.core.project import open_project
from flightline.core.settings import Settings
from flightline.evaluation.bootstrap import Improvement
from flightline.promotion.change_report import Side, compare
from flightline.promotion.gate import Comparison, Decision
from flightline.training.fit import TrainingParameters
from pipelines.change_report.page import MOST_BYTES, as_markdown, worst_and_best
from pipelines.change_report.report import (
    PAGE_FILE,
    PICTURE_FILE,
    REPORT_FILE,
    base_tree,
    merge_base,
    read_side,
    write_report,
)
from pipelines.change_report.side import write_side
from pipelines.steps import compare as comparison
from tests.support.small_training_set import run_in_flow, small_problem, write_training_set

pytestmark = pytest.mark.slow

LINEAGE = {"git_commit": "c" * 40, "git_dirty": False, "data_md5": "d" * 32, "features_sha256": "f" * 64}


@pytest.fixture(scope="module", params=["classification", "multiclass"])
def problem(request: pytest.FixtureRequest) -> Problem:
    small = small_problem(request.param)
    return replace(small, thresholds=replace(small.thresholds, floors={}, ceilings={}, min_slice_rows=100))


@pytest.fixture(scope="module")
def side(problem: Problem, server: None, tmp_path_factory: pytest.TempPathFactory) -> Side:
    """A real small training, as both trees of a report have it."""
    folder = tmp_path_factory.mktemp("a repört")
    training_set = write_training_set(folder / "set", problem.task)
    project = replace(open_project(Settings(root=folder)), problem=problem)
    asked = TrainingParameters(model="logistic_regression")
    trained = run_in_flow(lambda: comparison.fit_and_evaluate(project, asked, training_set))
    write_side(problem, training_set, trained, LINEAGE, folder / "side")
    return read_side(folder / "side")


def changed(side: Side, how: Callable[[pd.DataFrame], np.ndarray], **told: object) -> Side:
    return Side({**side.facts, **told}, side.rows.assign(prediction=how(side.rows)))


def worse_on_the_left(rows: pd.DataFrame) -> np.ndarray:
    """Shrink the logit on one side: the order stays, the probabilities say less."""
    p, is_left = from_column(rows["prediction"]), (rows["side"] == "left").to_numpy()
    return as_column(np.where(is_left, (0.35 * p.T + 0.1), p.T).T)


def page_of(problem: Problem, base: Side, new: Side) -> str:
    return as_markdown(problem, base.facts, new.facts, compare(problem, base, new))


def test_nothing_changed_is_said_in_so_many_words(problem: Problem, side: Side, tmp_path: Path) -> None:
    compared = write_report(problem, side, side, tmp_path)
    text = (tmp_path / REPORT_FILE).read_text()
    assert compared.is_same
    assert compared.verdict.decision is Decision.HOLD
    assert "**Nothing changed**: both trees predict the same, bit by bit" in text
    assert "Data, features, settings and packages are the same." in text
    assert "+0.0000 to +0.0000" in text
    assert "Most changed" not in text
    assert not (tmp_path / PICTURE_FILE).exists()
    page = (tmp_path / PAGE_FILE).read_text()
    assert "</span>This change leaves every prediction as it was.</h1>" in page
    assert "<figure>" not in page


def test_a_slice_that_got_worse_is_named_and_holds(problem: Problem, side: Side, tmp_path: Path) -> None:
    compared = write_report(problem, side, changed(side, worse_on_the_left), tmp_path)
    text = (tmp_path / REPORT_FILE).read_text()
    assert compared.verdict.decision is Decision.HOLD
    assert any("side=left is credibly worse" in reason for reason in compared.verdict.reasons)
    slices, examples = text.split("### Slices")[1].split("### Most changed examples")
    (left,) = (line for line in slices.splitlines() if line.startswith("| `side=left`"))
    assert left.endswith("| worse |")
    (right,) = (line for line in slices.splitlines() if line.startswith("| `side=right`"))
    assert "| +0.0000 |" in right.replace("-0.0000", "+0.0000")
    (loss,) = (line for line in text.splitlines() if line.startswith("| log_loss"))
    assert loss.endswith("| worse |")
    assert (tmp_path / PICTURE_FILE).stat().st_size > 1000
    page = (tmp_path / PAGE_FILE).read_text()
    assert '<span class="action">HOLD</span>This change makes the model worse.</h1>' in page
    assert page.index("data:image/png;base64,") < page.index("<h2>Metrics") < page.index("<h2>What changed")
    assert "`" not in page
    assert examples.count("side=left") == 10
    assert "side=right" not in examples


def test_a_better_tree_would_be_promoted(problem: Problem, side: Side) -> None:
    compared = compare(problem, changed(side, worse_on_the_left), side)
    assert compared.verdict.decision is Decision.PROMOTE
    (loss,) = (one for one in compared.metrics if one.name == "log_loss")
    assert loss.lower < loss.new - loss.base < loss.upper < 0


def test_changes_of_data_features_and_settings_are_named(problem: Problem, side: Side) -> None:
    told = {"data_md5": "e" * 32, "features_sha256": "a" * 64, "chosen": {"C": 2}, "columns": ["first", "third"]}
    text = page_of(problem, side, changed(side, lambda rows: rows["prediction"], **told))
    assert f"| data version (data.dvc) | `{'d' * 12}` | `{'e' * 12}` |" in text
    assert "| feature definitions |" in text
    assert "`C=2`" in text
    assert "new columns: `third`" in text
    assert "columns gone: `second`, `side`" in text


def test_rows_that_only_one_has_are_counted_and_left_out(problem: Problem, side: Side) -> None:
    rows = side.rows
    base = Side(side.facts, rows.iloc[5:])
    new = Side(
        side.facts,
        rows.iloc[:-3].assign(label=lambda one: one["label"].where(one.index != one.index[9], 1 - one["label"])),
    )
    compared = compare(problem, base, new)
    assert (compared.only_new, compared.only_base, compared.relabelled) == (5, 3, 1)
    assert not compared.is_same
    text = as_markdown(problem, base.facts, new.facts, compared)
    assert "5 only here, 3 only in the base, 1 with another label" in text
    with pytest.raises(TrainingError, match="no test row in common"):
        compare(problem, Side(side.facts, rows.iloc[:5]), Side(side.facts, rows.iloc[5:]))


def test_whatever_the_data_holds_the_comment_is_a_table_and_fits(problem: Problem, side: Side) -> None:
    spiteful = Side(side.facts, side.rows.assign(side="|`<!--\n" + "x" * 100))
    text = page_of(problem, spiteful, changed(spiteful, lambda rows: 0.5 * rows["prediction"]))
    rows = [line for line in text.split("### Most changed examples")[1].splitlines() if line.startswith("| `")]
    assert len(rows) == 10
    assert all(line.count("|") == 5 and line.count("`") == 2 for line in rows)
    many = {**side.facts, "columns": [f"column_{number}" for number in range(10_000)], "chosen": {"a": "x y" * 40_000}}
    assert len(page_of(problem, side, Side(many, side.rows)).encode()) < MOST_BYTES


def git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two branches that have parted."""
    root = tmp_path / "clone"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    for number in range(3):
        (root / "file").write_text(str(number))
        git(root, "add", "file")
        git(root, "commit", "-qm", str(number))
        if number == 0:
            git(root, "branch", "side")
    return root


def test_the_base_is_where_the_branches_met(repository: Path) -> None:
    settings = Settings(root=repository)
    commit = merge_base(repository, "side")
    for _ in range(2):  # a second time as well as the first
        with base_tree(settings, commit) as tree:
            assert (tree / "file").read_text() == "0"
        assert not tree.exists()
    assert (repository / "file").read_text() == "2"


def test_without_the_history_it_says_what_to_fetch(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="git knows no 'origin/main' here; fetch it"):
        merge_base(repository, "origin/main")
    git(tmp_path, "clone", "-q", "--depth", "1", "--no-single-branch", f"file://{repository}", "shallow")
    with pytest.raises(TrainingError, match="was cut off; git fetch --unshallow"):
        merge_base(tmp_path / "shallow", "origin/side")
    with pytest.raises(TrainingError, match="is no git repository"):
        merge_base(tmp_path, "main")


def test_slices_in_which_the_base_errs_in_no_row_are_ordered_too() -> None:
    losses = {"worse": (0.0, -0.1), "a little worse": (0.4, -0.1), "the same": (0.0, 0.0), "better": (0.4, 0.1)}
    slices = [Comparison(name, 300, loss, Improvement(gain, gain, gain)) for name, (loss, gain) in losses.items()]
    assert [each.name for each in worst_and_best(tuple(reversed(slices)))] == [*losses]
