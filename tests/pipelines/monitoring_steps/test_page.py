"""The pages of monitoring by their structure: sections, rows, pictures, and nothing unescaped."""

import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from flightline.adapters.plots import monitoring_plots
from flightline.monitoring.behaviours import ByNature
from flightline.monitoring.daily_stats import ColumnSlice, Kind
from flightline.monitoring.decision import MonitoringDecision
from pipelines.monitoring_steps.inputs import Inputs
from pipelines.monitoring_steps.page import as_html, as_markdown
from pipelines.monitoring_steps.report import draw
from pipelines.monitoring_steps.windows import Judged
from tests.pipelines.monitoring_steps.decisions import (
    CLOCK,
    HOSTILE,
    NAMES,
    RULE,
    anomaly,
    decision,
    inputs,
    judged,
    judged_of_task,
)
from tests.support.small_training_set import small_problem

pytestmark = pytest.mark.slow


class Page(HTMLParser):
    """The tags of a page, its headings, and the cells of its rows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.headings: list[str] = []
        self.rows: list[list[str]] = []
        self.bad: list[str] = []
        self._open = ("", "")
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.append(tag)
        self._open = (tag, dict(attributes).get("class") or "")
        if tag == "h2":
            self.headings.append("")
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        tag, kind = self._open
        if tag == "h2":
            self.headings[-1] += data.strip()
        elif self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()
        if kind == "bad" and data.strip():
            self.bad.append(data.strip())

    def handle_endtag(self, tag: str) -> None:
        self._open = ("", "")


def problem():
    return replace(small_problem("classification"), monitoring=RULE)


def page_of(found: Judged, seen: Inputs, folder: Path) -> tuple[str, Page, MonitoringDecision]:
    decided = decision(found, seen)
    pictures = draw(problem(), found, seen, folder)
    text = as_html(problem(), CLOCK, "7", found, seen, decided, pictures)
    return text, Page(text), decided


def test_a_healthy_page_has_its_sections_and_pictures_in_order(tmp_path: Path):
    text, page, _ = page_of(judged(), inputs(), tmp_path)
    assert page.headings[:6] == [
        "Is it as good as it should be?", "Calibration", "Labels", "Drift", "Missing values",
        "The other measures that decide",
    ]  # fmt: skip
    assert [heading.split(",")[0] for heading in page.headings[6:]] == [
        "Why", "Windows", "Slices", "Columns above their own drift threshold", "Feature views in the latest window",
        "How it was judged",
    ]  # fmt: skip
    assert text.count("data:image/png;base64,") == 6
    assert "breached" not in page.bad


@pytest.mark.parametrize(
    ("task", "words", "loss", "happened"),
    [
        (
            "classification",
            "of 2026-02-20 to 2026-02-27 with a known outcome, 29.6% (27.8% to 31.7%) were",
            "log_loss (nats)",
            "label: share of",
        ),
        (
            "multiclass",
            "with a known outcome, 61.9% (59.1% to 65.0%) were right",
            "log_loss (nats)",
            "right answers: share of",
        ),
        ("regression", 'with a known outcome, "label" was 9.998 (', "rmse (units of the label)", "label: mean"),
    ],
)
def test_each_kind_of_problem_has_its_weeks(task, words, loss, happened, tmp_path: Path, monkeypatch):
    drawn = {}
    save = monitoring_plots.save
    monkeypatch.setattr(
        monitoring_plots, "save", lambda figure, file: (drawn.update({file.stem: figure}), save(figure, file))[1]
    )
    told, found = replace(small_problem(task), monitoring=RULE), judged_of_task(task)
    pictures = draw(told, found, inputs(), tmp_path)
    text = html.unescape(as_html(told, CLOCK, "7", found, inputs(), decision(found, inputs()), pictures))
    assert words in text
    left, right = drawn["weeks"].axes
    assert left.get_ylabel().startswith(loss)
    assert right.get_ylabel().startswith(happened)
    assert left.get_xlabel() == right.get_xlabel() == "first day of the week"
    for figure in drawn.values():  # no axis is without a name, and no two share a picture's frame
        named = [axes for axes in figure.axes if axes.axison]
        assert all(axes.get_ylabel() or axes.get_yticklabels()[0].get_text() for axes in named)
        assert len({axes.get_position().bounds for axes in named}) == len(named)


def test_the_page_needs_no_other_file(tmp_path: Path):
    text, page, _ = page_of(judged(), inputs(anomaly(Kind.MISSING)), tmp_path)
    assert not {"link", "script", "iframe"} & set(page.tags)
    assert re.findall(r"""(?:src|href)=["'](?!data:)""", text) == []
    assert "url(" not in text


def test_breaches_that_decide_are_marked(tmp_path: Path):
    _, page, decided = page_of(judged(too_low=2.0), inputs(), tmp_path)
    breached = {each.name for each in decided.latest.criteria if each.is_breached and each.is_deciding}
    assert breached >= {"calibration", "promise"}
    assert page.bad.count("breached") == len(breached)
    assert set(page.bad) == breached | {"breached"}
    (row,) = (row for row in page.rows if row[0] == "calibration")
    assert row[4] == "breached"


def test_every_anomaly_has_its_row(tmp_path: Path):
    found = [anomaly(kind) for kind in NAMES]
    _, page, _ = page_of(judged(), inputs(*found), tmp_path)
    named = {tuple(row[:4]) for row in page.rows}
    assert {(str(each.where), str(each.kind), each.since, each.until) for each in found} <= named
    assert page.headings[1] == "Anomalies of the data"


def test_columns_judged_by_their_nature_have_their_rows(tmp_path: Path):
    seen = replace(inputs(), by_nature=(ByNature("age", "grows", True), ByNature(HOSTILE, "calendar", False)))
    found = judged()
    _, page, decided = page_of(found, seen, tmp_path)
    assert ["age", "grows", "a hint"] in page.rows
    assert "Columns judged by their nature" in page.headings
    markdown = as_markdown(problem(), "7", found, seen, decided)
    assert "judged by their nature, by a hint: grows: age" in markdown
    assert "<script>" not in markdown


@pytest.mark.parametrize(("too_low", "advice"), [(0.0, "Repair the data that is named here:"), (2.0, "here first:")])
def test_broken_data_is_repaired_first(too_low, advice, tmp_path: Path):
    text, _, _ = page_of(judged(too_low), inputs(anomaly(Kind.MISSING)), tmp_path)
    assert advice in text


def test_names_from_the_data_are_escaped(tmp_path: Path):
    broken = anomaly(Kind.MISSING, ColumnSlice(HOSTILE, "shop", HOSTILE))
    found, seen = judged(slice_name=f"shop={HOSTILE}"), inputs(broken, column=HOSTILE)
    text, page, decided = page_of(found, seen, tmp_path)
    assert "script" not in page.tags
    assert "&lt;script&gt;" in text
    markdown = as_markdown(problem(), "7", found, seen, decided)
    assert "<script>" not in markdown
    (row,) = (line for line in markdown.splitlines() if "| missing |" in line)
    assert row.count("|") == 6


def test_the_artifact_has_a_row_for_each_window():
    found, seen = judged(too_low=2.0), inputs(anomaly(Kind.MISSING))
    markdown = as_markdown(problem(), "7", found, seen, decision(found, seen))
    rows = [line.split(" | ") for line in markdown.splitlines() if line.startswith("| 2026-")]
    assert [row[0].removeprefix("| ") for row in rows] == [str(each.window) for each in found.windows]
    assert "calibration" in rows[-1][-1]
    assert rows[0][-1] == "no |"
    assert markdown.startswith(f"# {problem().model_name} version 7: retrain\n\nretrain: 2 of the last 2 windows")
