"""What a fault plants into the problem's own code, whatever kind of problem it is."""

from pathlib import Path

import ibis
import pytest

from flightline.adapters import duckdb_engine as engine
from flightline.core.settings import Settings
from tests.proof import planted
from tests.proof.planted import label_at_prediction, small


@pytest.mark.parametrize(
    ("package", "values"), [("tests.toy_problem", {0, 1}), ("tests.toy_multiclass", {0, 1, 2})], ids=["number", "name"]
)
def test_the_label_is_planted_as_a_number(
    toy_groups: dict[str, ibis.Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, values: set[int]
) -> None:
    monkeypatch.setattr(small, "OWN_PACKAGE", package)
    monkeypatch.setattr(planted, "CHOICES", tmp_path / "choices.json")
    chosen = {"table": "shop_recent", "keys": ["shop"], "features": ["first", "second"]}
    planted.write_choices(label_at_prediction=chosen)
    table = label_at_prediction.make_project(Settings()).features.tables["shop_recent"](toy_groups)
    found = engine.to_frame(table)
    assert list(found.columns) == ["shop", "event_timestamp", "first", "second"]
    assert found["first"].dtype == "float64"
    assert set(found["first"].dropna()) == values
