"""Pictures: that they are drawn, for few and many slices."""

from pathlib import Path

import pytest

from flightline.adapters.plots.evaluation_plots import draw_comparisons
from flightline.core.problem_spec import Thresholds
from flightline.evaluation.bootstrap import Improvement
from flightline.promotion.gate import Comparison, Decision, Verdict

THRESHOLDS = Thresholds(floors={}, ceilings={}, implausible={})


@pytest.mark.parametrize("slices", [0, 1, 40])
def test_differences_are_drawn(slices: int, tmp_path: Path) -> None:
    overall = Comparison("overall", 1000, 0.43, Improvement(0.001, -0.001, 0.003))
    others = tuple(Comparison(f"a={i}", 300, 0.4, Improvement(-0.1, -0.2, -0.05)) for i in range(slices))
    file = draw_comparisons(tmp_path / "gate.png", Verdict(Decision.HOLD, (), (), (overall, *others)), THRESHOLDS)
    assert file.read_bytes().startswith(b"\x89PNG")


def test_what_could_not_be_compared_is_drawn_as_nothing(tmp_path: Path) -> None:
    nan = float("nan")
    comparisons = (Comparison("overall", 10, 0.43, Improvement(nan, nan, nan)),)
    assert draw_comparisons(tmp_path / "gate.png", Verdict(Decision.HOLD, (), (), comparisons), THRESHOLDS).is_file()


def test_a_slice_may_be_called_what_looks_like_a_formula_and_be_without_any_loss(tmp_path: Path) -> None:
    overall = Comparison("overall", 1000, 0.43, Improvement(0.001, -0.001, 0.003))
    priced = Comparison("price=$10_$20", 300, 0.0, Improvement(-0.1, -0.2, -0.05))
    verdict = Verdict(Decision.HOLD, (), (), (overall, priced))
    assert draw_comparisons(tmp_path / "gate.png", verdict, THRESHOLDS).is_file()
