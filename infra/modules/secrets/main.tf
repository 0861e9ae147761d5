# Secrets that nobody types and no state file holds: made by AWS while applying, written once, read where they are needed.
locals {
  # By secret, the user it belongs to; "" where there is none.
  generated = {
    database-admin       = "admin_of_${replace(var.project, "-", "_")}"
    database-mlflow      = "mlflow"
    database-prefect     = "prefect"
    database-predictions = "predictions"
    cache                = ""
    api-key              = ""
  }
}

resource "aws_secretsmanager_secret" "this" {
  # checkov:skip=CKV2_AWS_57:tasks take a secret when they start, so it changes with a deployment: raise secret_generation and apply
  for_each = toset(concat(keys(local.generated), ["api-keys", "alerts"]))

  name                    = "${var.name}/${each.key}"
  kms_key_id              = var.key_arn
  recovery_window_in_days = var.protected ? 30 : 0
}

ephemeral "aws_secretsmanager_random_password" "this" {
  for_each = local.generated

  password_length     = 48
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret_version" "generated" {
  for_each = local.generated

  secret_id = aws_secretsmanager_secret.this[each.key].id
  secret_string_wo = jsonencode({
    username = each.value
    password = ephemeral.aws_secretsmanager_random_password.this[each.key].random_password
  })
  secret_string_wo_version = var.generation
}

# What was written is read back, so that an apply that was broken off goes on with the same secrets.
ephemeral "aws_secretsmanager_secret_version" "database_admin" {
  secret_id = aws_secretsmanager_secret_version.generated["database-admin"].secret_id
}

ephemeral "aws_secretsmanager_secret_version" "api_key" {
  secret_id = aws_secretsmanager_secret_version.generated["api-key"].secret_id
}

# The service knows digests only. More keys are added to this secret by hand; Terraform writes it once a generation.
resource "aws_secretsmanager_secret_version" "api_keys" {
  secret_id                = aws_secretsmanager_secret.this["api-keys"].id
  secret_string_wo         = jsonencode({ deployment = sha256(jsondecode(ephemeral.aws_secretsmanager_secret_version.api_key.secret_string).password) })
  secret_string_wo_version = var.generation
}

# Where messages to people go (a URL of Apprise), which holds a password or a token: written by hand, and once empty by Terraform.
resource "aws_secretsmanager_secret_version" "alerts" {
  secret_id                = aws_secretsmanager_secret.this["alerts"].id
  secret_string_wo         = jsonencode({ url = "" })
  secret_string_wo_version = 1
}
