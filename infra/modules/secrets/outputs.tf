output "arns" {
  description = "By secret, its ARN; known once the secret has a value."
  value       = { for name, secret in aws_secretsmanager_secret.this : name => secret.arn }
  depends_on = [
    aws_secretsmanager_secret_version.generated, aws_secretsmanager_secret_version.api_keys, aws_secretsmanager_secret_version.alerts,
  ]
}

output "users" {
  description = "By secret of a database user, the user's name."
  value       = { for name, user in local.generated : name => user if user != "" }
}

output "database_admin_password" {
  description = "Password of the database's administrator, while applying only."
  value       = jsondecode(ephemeral.aws_secretsmanager_secret_version.database_admin.secret_string).password
  ephemeral   = true
  sensitive   = true
}
