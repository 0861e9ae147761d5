"""The pages that commands write, as a person meets them: in a narrow window, in light and in dark, by axe's rules."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flightline.adapters.ports import free_port
from flightline.core.prediction_record import as_column
from flightline.core.settings import PageSettings, Settings
from flightline.promotion import change_report
from flightline.promotion.change_report import Side
from flightline.retraining.comparison import compare_policies, default_price
from flightline.training.fit import TrainingParameters
from flightline.training.splits import rows_in
from pipelines.change_report.report import PAGE_FILE, write_report
from pipelines.commands.exploration.explore import explore
from pipelines.monitoring_steps.page import as_html
from pipelines.monitoring_steps.report import draw
from pipelines.pages import ui_page
from pipelines.retraining.plan import YearPlan
from pipelines.retraining.report import LivedYear
from pipelines.retraining.report import write_report as write_report_of_year
from tests.pipelines.monitoring_steps.decisions import CLOCK, NAMES, RULE, anomaly, decision, inputs, judged_of_task
from tests.retraining.matrices import ageing
from tests.support.chromium import WIDE, faults_of, opened, serious_faults
from tests.support.small_training_set import small_problem, small_project, write_training_set

pytestmark = pytest.mark.system
TASKS = ("classification", "multiclass", "regression")


def monitoring(task: str, folder: Path) -> str:
    """Write a page with everything that it can show."""
    problem = replace(small_problem(task), monitoring=RULE)
    judged = judged_of_task(task)
    judged = replace(judged, slices={"side=left": judged.windows[-1], "side=right": judged.windows[0]})
    seen = inputs(*map(anomaly, NAMES))
    pictures = draw(problem, judged, seen, folder)
    return as_html(problem, CLOCK, "7", judged, seen, decision(judged, seen), pictures)


def predicted(task: str, follows: np.ndarray) -> np.ndarray:
    """Predict as somebody does who knows how the small training set was made."""
    if task == "regression":
        return follows
    scores = np.stack([-follows, follows, np.full(len(follows), 0.5)], axis=1) if task == "multiclass" else follows
    weights = np.exp(scores)
    return weights / weights.sum(axis=1, keepdims=True) if task == "multiclass" else weights / (1 + weights)


def train_report(task: str, folder: Path) -> str:
    """Write the report of a change that halves what the features say."""
    problem, made = small_problem(task), write_training_set(folder / "set", task)
    rows, features = (pd.read_parquet(made.folder / f"{name}.parquet") for name in ("examples", "features"))
    is_tested = rows_in(rows, problem.windows.test)
    rows, features = rows[is_tested], features[is_tested]
    follows = (2 * features["first"] + (features["side"] == "left")).to_numpy()
    both = [as_column(predicted(task, strength * follows)) for strength in (1, 0.5)]
    rows = rows.assign(prediction=both[0], baseline=as_column(predicted(task, 0 * follows + rows["label"].mean())))
    facts = {
        "commit": "c" * 40, "dirty": True, "data_md5": "d" * 32, "model": "ridge", "columns": ["first", "second"],
        "learned_until": "2020-03-01T00:00Z", "size_bytes": 10_000, "seconds": [0.001, 0.01],
        "test_window": [problem.windows.test.start.isoformat(), problem.windows.test.end.isoformat()],
    }  # fmt: skip
    new = {**facts, "commit": "e" * 40, "data_md5": "f" * 32, "columns": ["first", "third"]}
    write_report(problem, Side(facts, rows), Side(new, rows.assign(prediction=both[1])), folder)
    return (folder / PAGE_FILE).read_text(encoding="utf-8")


def exploration(task: str, folder: Path) -> str:
    """Write the page of `make explore`."""
    project = small_project(Settings(root=folder), task)
    write_training_set(project.settings.state_dir / "training_sets" / "first", task)
    return explore(project).read_text(encoding="utf-8")


def retraining(_: str, folder: Path) -> str:
    """Write the page of `make replay`."""
    matrix = ageing(noise=0.01)
    cuts = (*matrix.weeks, matrix.weeks[-1] + timedelta(days=7))
    parameters = TrainingParameters(model="logistic_regression")
    plan = YearPlan("set", folder, parameters, cuts[0], None, timedelta(days=20), timedelta(days=1), 0, cuts)
    compared = compare_policies(matrix, default_price(matrix), seed=0)
    problem = small_problem("classification")
    page = write_report_of_year(LivedYear(problem, plan, "1", matrix, {"PROMOTE": 3}, compared), folder / "year")
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("write", "task"),
    [
        *((write, task) for write in (monitoring, train_report) for task in TASKS),
        (exploration, "regression"),
        (retraining, ""),
    ],
)
def test_axe_finds_no_serious_fault_and_nothing_is_cut_off(
    browser: Any,
    tmp_path: Path,
    write: Callable[[str, Path], str],
    task: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(change_report, "RESAMPLES", 10)  # what the page says is not looked at
    file = tmp_path / "page.html"
    file.write_text(write(task, tmp_path), encoding="utf-8")
    with opened(browser, file.as_uri()) as page:
        assert faults_of(page) == []


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """The page that links the others, looked at often, and where commands would write theirs."""
    monkeypatch.setattr(ui_page, "REFRESH_SECONDS", 0.05)
    settings = Settings(root=tmp_path, pages=PageSettings(port=free_port()))
    with ui_page.serving_page(settings, [ui_page.Entry("MLflow", "http://127.0.0.1:9", "runs")]) as url:
        yield url, settings.state_dir


def test_who_stands_on_a_link_of_the_linking_page_is_not_moved(browser: Any, shown: tuple[str, Path]) -> None:
    url, state_dir = shown
    with opened(browser, url) as page:
        assert faults_of(page) == []
        page.evaluate("window.mark = true")
        (state_dir / "exploration").mkdir(parents=True)
        (state_dir / "exploration" / "page.html").write_text("<p>rows</p>", encoding="utf-8")
        page.get_by_role("link", name="Exploration").wait_for()
        page.get_by_role("link", name="Exploration").focus()
        with page.expect_response(f"{url}/"):
            pass
        assert page.evaluate("[window.mark, document.activeElement.textContent]") == [True, "Exploration"]


def test_axe_bites(browser: Any, shown: tuple[str, Path]) -> None:
    with opened(browser, shown[0], WIDE) as page:
        page.evaluate("document.documentElement.removeAttribute('lang')")
        assert [fault.partition(":")[0] for fault in serious_faults(page)] == ["html-has-lang"]
