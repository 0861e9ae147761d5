"""What `make test-deploy` rests on, without Docker: an hour's run is a late place to learn that a name has moved."""

import ast
import re
import shutil
from pathlib import Path

from template.tests.deploy import images
from template.tests.deploy.project import BOUNDS, PATIENCE, be_patient
from tools.deploy import checks, rollout
from tools.terraform.terraform import ROOT

CALLS = ROOT / "template" / "tests" / "deploy" / "test_deployed.py"


def needs() -> dict[str, list[str]]:
    """By target, the variables that make demands; "A|B" is one of them."""
    text = "\n".join(file.read_text() for file in (ROOT / "Makefile", *ROOT.glob("*/*.mk"), *ROOT.glob(".*/*.mk")))
    return {target: names.split() for target, names in re.findall(r"(?m)^NEEDS_([\w-]+) := (.+)$", text)}


def test_each_call_of_make_names_what_its_target_demands() -> None:
    made = [
        (call.args[0].value, {keyword.arg for keyword in call.keywords})
        for call in ast.walk(ast.parse(CALLS.read_text()))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) == "world.make"
        and isinstance(call.args[0], ast.Constant)
    ]
    demanded = needs()
    assert {target for target, _ in made} == {"deploy", "first-fill", "rollback", "destroy"}
    assert {"rollback", "destroy"} <= demanded.keys()
    missing = [
        (target, need)
        for target, names in made
        for need in demanded.get(target, [])
        if not names & set(need.split("|"))
    ]
    assert missing == []


def test_a_copy_waits_longer_for_predictions_and_the_slow_image_longer_still(tmp_path: Path) -> None:
    for file in BOUNDS:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    be_patient(tmp_path)
    for file, name in BOUNDS.items():
        assert f"\n{name} = {PATIENCE} * " in (tmp_path / file).read_text()
    assert PATIENCE * max(checks.SLOWEST_SECONDS, rollout.MOST_SECONDS) < images.SECONDS


def test_the_call_that_the_slow_image_slows_is_there() -> None:
    assert f"\n{images.CALL}" in (ROOT / images.ROUTES).read_text()
