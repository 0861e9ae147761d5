"""What a fault plants into the problem's own code, whatever kind of problem it is."""

import runpy
from datetime import timedelta
from pathlib import Path

import ibis
import pytest

from flightline.adapters import duckdb_engine as engine
from flightline.core.settings import Settings
from tests.proof import planted
from tests.proof.catalogue.service import double_a_ttl
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


DECLARED = """
from datetime import timedelta

from feast import Entity, ValueType

from flightline.adapters.feast.declaring import declare_view

SHOP = Entity(name="shop", value_type=ValueType.STRING)
FIRST = declare_view("first", [SHOP], timedelta(days=2), {"number": "A number."}, "First.", owner="A")
SECOND = declare_view("second", [SHOP], timedelta(days=3), {"other": "Another."}, "Second.", owner="A")
"""


def test_a_ttl_is_doubled_whatever_the_declarations_import(tmp_path: Path) -> None:
    file = tmp_path / "feature_repo" / "definitions.py"
    file.parent.mkdir()
    file.write_text(DECLARED, encoding="utf-8")
    double_a_ttl(tmp_path)
    declared = runpy.run_path(str(file))
    assert (declared["FIRST"].ttl, declared["SECOND"].ttl) == (timedelta(days=4), timedelta(days=3))
