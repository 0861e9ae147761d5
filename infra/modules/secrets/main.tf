# The places of secrets. `make deploy` makes their values up and writes them (tools/deploy/passwords.py): Terraform would read back
# whatever it wrote whenever it looks for changes, and so no state, no plan and no role that only plans knows one.
locals {
  # By secret, the user that its password belongs to; "" where there is none.
  users = {
    database-admin       = "admin_of_${replace(var.project, "-", "_")}"
    database-mlflow      = "mlflow"
    database-prefect     = "prefect"
    database-predictions = "predictions"
    cache                = ""
    api-key              = ""
  }
}

# Beside the passwords: digests of the API keys, which is all that the service knows of them, and where messages to people go (a
# URL of Apprise, written by hand).
resource "aws_secretsmanager_secret" "this" {
  # checkov:skip=CKV2_AWS_57:tasks take a secret when they start, so it changes with a deployment: make deploy NEW_SECRETS=true
  for_each = toset(concat(keys(local.users), ["api-keys", "alerts"]))

  name                    = "${var.name}/${each.key}"
  kms_key_id              = var.key_arn
  recovery_window_in_days = var.protected ? 30 : 0
}

# Until December 2026 Terraform wrote the values; they stay as they are.
removed {
  from = aws_secretsmanager_secret_version.generated

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_secretsmanager_secret_version.api_keys

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_secretsmanager_secret_version.alerts

  lifecycle {
    destroy = false
  }
}
