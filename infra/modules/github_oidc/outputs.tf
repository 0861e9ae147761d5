output "role_arns" {
  description = "By short name, the role's ARN, for the workflows' variables."
  value       = { for name, role in aws_iam_role.this : name => role.arn }
}

output "trust_policies" {
  description = "By short name, who may take the role."
  value       = { for name, document in data.aws_iam_policy_document.trust : name => document.json }
}

output "subjects" {
  description = "By short name, the subjects of GitHub's tokens that may take the role."
  value       = local.subjects
}

output "session_seconds" {
  description = "By short name, how long a session of the role may last."
  value       = { for name, role in aws_iam_role.this : name => role.max_session_duration }
}
