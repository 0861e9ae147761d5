"""The gate as a task: what it does with its verdict."""

from pathlib import Path

import pytest

from flightline.adapters.mlflow import registry
from flightline.core.errors import RegistryError
from flightline.core.settings import Settings
from flightline.promotion.evidence import Gathered, Role
from pipelines.common.artifacts import EvaluationFile, Registered
from pipelines.evaluation_steps.held_out import SLOPES_FILE
from pipelines.promotion_steps import gate
from tests.support.evidence_rows import BASELINE, expected_of, make_champion, make_evidence
from tests.support.models.small_registry import crown, register
from tests.support.small_service import KINDS, fitted
from tests.toy_problem import PROBLEM, make_project

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("is_first", [True, False], ids=["the first champion", "another champion"])
def test_a_champion_that_came_while_the_gate_judged_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    settings = Settings(root=tmp_path)
    before, version, meanwhile = (register(settings, fitted(KINDS)) for _ in range(3))
    if not is_first:
        crown(settings, before)

    def gather(*_: object) -> Gathered:
        crown(settings, meanwhile)
        challenger, champion = make_evidence(Role.CHALLENGER, log_loss=0.4), None if is_first else make_champion()
        return Gathered(challenger, BASELINE, champion, expected_of(challenger, champion), "")

    monkeypatch.setattr(gate, "gather_evidence", gather)
    (tmp_path / SLOPES_FILE).write_text("month,rows,value,lower,upper\n")
    found = registry.get_version(settings, PROBLEM.model_name, version)
    given = Registered(version, str(found.run_id), found.tags["model_sha256"])
    with pytest.raises(RegistryError, match="champion stands at version 3 by now"):
        gate.gate.fn(make_project(settings), None, EvaluationFile("e", tmp_path, {}, {}, 0, ""), given)
    assert str(registry.version_of(settings, PROBLEM.model_name, registry.CHAMPION).version) == meanwhile
