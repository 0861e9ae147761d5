output "arns" {
  description = "By secret, its ARN."
  value       = { for name, secret in aws_secretsmanager_secret.this : name => secret.arn }
}

output "users" {
  description = "By secret of a database user, the user's name."
  value       = { for name, user in local.users : name => user if user != "" }
}

output "places" {
  description = "By secret, its ARN and, where it holds a password, whose: a user, or nobody's (empty)."
  value       = { for name, secret in aws_secretsmanager_secret.this : name => { arn = secret.arn, user = lookup(local.users, name, null) } }
}
