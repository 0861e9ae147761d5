"""What the gate compares a model's evidence with: its registered pipeline's own losses on every row."""

from dataclasses import replace

import numpy as np
import pandas as pd

from flightline.promotion.evidence import RegisteredModel
from flightline.promotion.evidence_checks import incomparable
from pipelines.promotion_steps.evidence import own_losses
from pipelines.steps.models import HeldOut, judge
from tests.support.evidence_rows import BASELINE, expected_of, make_evidence
from tests.support.small_service import KINDS, fitted
from tests.toy_problem import PROBLEM

ROWS, TOUCHED = 2000, (11, 47, 1203)  # of old, each tenth row was compared, from the first on


def held_out() -> HeldOut:
    random = np.random.default_rng(0)
    numbers = {name: random.uniform(-20, 60, ROWS) for name, kind in KINDS.items() if kind == "float64"}
    features = pd.DataFrame(numbers | {"shop": np.array(["S01", "S02"] * (ROWS // 2), dtype=object)})[[*KINDS]]
    times = pd.date_range("2020-06-01", periods=ROWS, freq="15min", tz="UTC")
    examples = pd.DataFrame({"example_id": np.arange(ROWS).astype(str), "event_timestamp": times})
    examples[[*PROBLEM.slices]] = "all"
    return HeldOut(examples.assign(**{PROBLEM.label: (features["mean_units"] > 20).astype(float)}), features)


def test_foreign_preprocessing_of_three_rows_in_two_thousand_is_found() -> None:
    """Such as of a rare value: numbers of these rows are capped before the model sees them."""
    pipeline, rows = fitted(KINDS), held_out()
    registered = RegisteredModel("2", "new", own_losses(PROBLEM, pipeline, rows))

    def refused(given: HeldOut) -> str:
        evidence = replace(make_evidence(), summary=judge(PROBLEM, pipeline, given, 1).summary)
        expected = replace(expected_of(evidence, None), challenger=registered)
        return "; ".join(reason for reason in incomparable(evidence, BASELINE, None, expected) if "pipeline" in reason)

    assert refused(rows) == ""
    foreign = rows.features.copy()
    foreign.loc[list(TOUCHED), "mean_units"] = foreign["mean_units"].clip(upper=0)
    assert "the losses differ on 2 of 21 days" in refused(HeldOut(rows.examples, foreign))
