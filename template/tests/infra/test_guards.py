"""Each guard of infra/ is broken in a copy, and its unit test must see it."""

from pathlib import Path

import pytest

from template.tests.infra.emulated.cloud import copy_infra, demand
from tools.terraform.terraform import Terraform, TerraformError, find_terraform

pytestmark = pytest.mark.slow

SUBJECT = 'variable = "${local.issuer}:sub"'
# By fault: file, what stands there, what is planted, the test file that must fail, and what it says.
FAULTS = {
    "public_bucket": (
        "modules/bucket/main.tf", "block_public_policy     = true", "block_public_policy     = false",
        "stores", "No bucket is public",
    ),
    "requests_without_tls": (
        "modules/bucket/main.tf", 'effect    = "Deny"', 'effect    = "Allow"', "stores", "without TLS are denied",
    ),
    "production_database_deletable": (
        "modules/database/main.tf", "deletion_protection             = var.protected",
        "deletion_protection             = false", "stores", "refuses to be deleted",
    ),
    "redis_without_tls": (
        "modules/cache/main.tf", 'transit_encryption_mode    = "required"', 'transit_encryption_mode    = "preferred"',
        "stores", "over TLS only",
    ),
    "another_open_door": (
        "modules/network/main.tf", "  referenced_security_group_id = aws_security_group.this[each.value.from].id",
        '  cidr_ipv4                    = "0.0.0.0/0"', "network", "names a security group",
    ),
    "old_tls": (
        "modules/balancer/main.tf", "ELBSecurityPolicy-TLS13-1-2-2021-06", "ELBSecurityPolicy-2016-08",
        "service", "older than TLS 1.2",
    ),
    "image_by_tag": (
        "modules/task/variables.tf", "@sha256:[0-9a-f]{64}$", ".*", "service", "an_image_by_tag",
    ),
    "task_with_public_address": (
        "modules/service/main.tf", "assign_public_ip = false", "assign_public_ip = true", "service", "public address",
    ),
    "service_reaches_mlflow": (
        "modules/network/main.tf", '{ from = "service", to = "files", port = 2049 }',
        '{ from = "service", to = "mlflow", port = 5000 }', "network", "no way to MLflow",
    ),
    "service_writes_models": (
        "modules/task/main.tf", "statement.value.is_read_only ?", "false ?", "service", "may not write to it",
    ),
    "any_repository_trusted": (
        "modules/github_oidc/variables.tf", "^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", "^.*$", "account", "anyone_on_github",
    ),
    "pattern_of_subjects": (
        "modules/github_oidc/main.tf", f'"StringEquals"\n      {SUBJECT}', f'"StringLike"\n      {SUBJECT}',
        "account", "exactly the subjects",
    ),
    "a_signer_may_do_anything": (
        "modules/signing/main.tf", 'actions   = ["kms:Sign", "kms:GetPublicKey"]', 'actions   = ["kms:*"]', "service",
        "do nothing else with it",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    demand(find_terraform(), "Terraform is not installed")
    folder = tmp_path_factory.mktemp("guards")
    root = Terraform(copy_infra(folder), folder / "data")
    root.run("init", "-backend=false", "-input=false", "-no-color")
    return root


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_guard_is_seen(copy: Terraform, fault: str):
    name, stands, planted, tested, said = FAULTS[fault]
    file = Path(copy.folder) / name
    whole = file.read_text()
    assert stands in whole, f"{name} no longer holds {stands!r}: plant the fault anew"
    file.write_text(whole.replace(stands, planted))
    try:
        with pytest.raises(TerraformError, match="fail") as caught:
            copy.run("test", "-no-color", f"-filter=tests/{tested}.tftest.hcl")
        assert said in str(caught.value)
    finally:
        file.write_text(whole)
