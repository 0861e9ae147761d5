"""The guide to one machine: its settings are the service's, its unit is what systemd reads."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from flightline.core.settings import Settings
from serving.middleware.auth import needs_key

GUIDE = (Path(__file__).parents[2] / "docs" / "how-to" / "one-machine.md").read_text(encoding="utf-8")


def block(first: str) -> str:
    """Give the indented block of the guide that begins with a line."""
    lines = re.search(rf"^    {re.escape(first)}.*\n(?:(?:    .*)?\n(?=    |\n    ))*    .*", GUIDE, re.MULTILINE)[0]
    return re.sub("^    ", "", lines, flags=re.MULTILINE) + "\n"


def test_with_its_settings_the_service_wants_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert not needs_key(Settings(root=tmp_path))
    for line in block("FLIGHTLINE_CLOCK=").splitlines():
        monkeypatch.setenv(*line.split("="))
    settings = Settings(root=tmp_path)
    assert needs_key(settings)
    assert settings.serving.trusted_proxies == settings.serving.host
    assert f"proxy_pass http://{settings.serving.host}:{settings.serving.port};" in GUIDE


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not on this machine")
@pytest.mark.parametrize(("kill_mode", "is_right"), [("mixed", True), ("never", False)])
def test_its_unit_is_one(kill_mode: str, is_right: bool, tmp_path: Path):
    unit = tmp_path / "flightline@.service"
    unit.write_text(block("[Unit]").replace("KillMode=mixed", f"KillMode={kill_mode}"))
    read = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (read.stderr == "") is is_right, read.stderr
