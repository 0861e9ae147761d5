"""How make runs Terraform: which providers it takes, what it says, and what it writes."""

import json
import os
import stat
from pathlib import Path

import pytest

from tools.terraform import commands as infra
from tools.terraform.terraform import AWS_PROVIDER, Terraform, TerraformError, find_providers

OUTPUTS = {
    "settings": {"value": {"FLIGHTLINE_PROFILE": "aws", "PGSSLMODE": "require"}},
    "secrets": {"value": {"PGPASSWORD": "arn:of:secret:password::"}},
    "deployment": {"value": {"url": "https://service.example.com"}},
}


@pytest.fixture
def terraform(monkeypatch, tmp_path):
    """A stand-in for the program, which prints what it is told to and notes its environment."""

    def make(prints: str = "", code: int = 0) -> Terraform:
        program = tmp_path / "bin" / "terraform"
        program.parent.mkdir(exist_ok=True)
        (tmp_path / "said").write_text(prints)
        program.write_text(f"#!/bin/sh\nenv > {tmp_path}/environment\ncat {tmp_path}/said\nexit {code}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return Terraform(tmp_path, tmp_path / "data")

    return make


def environment(folder: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in (folder / "environment").read_text().splitlines() if "=" in line)


def test_a_failure_says_its_step_and_terraforms_words(terraform):
    with pytest.raises(TerraformError, match=r"terraform plan in .* failed\nError: no bucket"):
        terraform("Error: no bucket", code=1).run("plan")


APPLYING = """ephemeral.password.this: Opening complete after 0s
aws_vpc.this: Creating...
aws_vpc.this: Creation complete after 2s [id=vpc-1]
aws_db_instance.this: Still creating... [10s elapsed]
"""


def test_a_long_apply_says_how_far_it_is(terraform, capsys):
    terraform(APPLYING).run_with_progress("apply", "plan", pause_seconds=0)
    assert capsys.readouterr().out.splitlines() == [
        "     0 s: 0 resources done; ephemeral.password.this: Opening complete after 0s",
        "     0 s: 0 resources done; aws_vpc.this: Creating...",
        "     0 s: 1 resources done; aws_vpc.this: Creation complete after 2s [id=vpc-1]",
        "     0 s: 1 resources done; aws_db_instance.this: Still creating... [10s elapsed]",
    ]


def test_a_short_apply_says_nothing(terraform, capsys):
    terraform(APPLYING).run_with_progress("apply", "plan")
    assert capsys.readouterr().out == ""


def test_an_apply_that_fails_says_all_that_terraform_said(terraform):
    with pytest.raises(TerraformError, match=r"terraform apply in .* failed\nephemeral(.|\n)*10s elapsed"):
        terraform(APPLYING, code=1).run_with_progress("apply")


def test_a_configuration_that_is_not_there_is_not_asked_for(terraform, monkeypatch, tmp_path):
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(tmp_path / "missing.rc"))
    terraform().run("version")
    assert environment(tmp_path).get("TF_CLI_CONFIG_FILE") != str(tmp_path / "missing.rc")


def test_providers_on_this_machine_are_used(terraform, monkeypatch, tmp_path):
    monkeypatch.delenv("TF_CLI_CONFIG_FILE", raising=False)
    monkeypatch.setenv("FLIGHTLINE_PROVIDERS", str(tmp_path / "providers"))
    terraform().run("version")
    given = environment(tmp_path)
    assert given["TF_DATA_DIR"] == str(tmp_path / "data")
    assert str(tmp_path / "providers") in Path(given["TF_CLI_CONFIG_FILE"]).read_text()


def test_a_named_folder_of_providers_goes_before_those_found():
    assert find_providers({"FLIGHTLINE_PROVIDERS": "/somewhere"}) == Path("/somewhere")
    found = find_providers({})
    assert found is None or (found / AWS_PROVIDER).is_dir()


def test_the_settings_are_written_for_their_owner_without_secrets(terraform, monkeypatch, tmp_path):
    monkeypatch.setattr(infra, "STATE", tmp_path / "state")
    file = infra.write_settings("staging", terraform(json.dumps(OUTPUTS)))
    lines = file.read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["FLIGHTLINE_PROFILE=aws", "PGSSLMODE=require"]
    assert "# PGPASSWORD: arn:of:secret:password::" in lines
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_environment_that_was_not_applied_has_no_settings(terraform, monkeypatch, tmp_path):
    monkeypatch.setattr(infra, "STATE", tmp_path / "state")
    with pytest.raises(TerraformError, match="was not applied yet"):
        infra.write_settings("staging", terraform("{}"))


def test_an_environment_of_an_account_without_setup_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(infra, "BACKEND", infra.INFRA / "environments" / "missing.json")
    with pytest.raises(TerraformError, match="make infra-account"):
        infra.init("staging")
