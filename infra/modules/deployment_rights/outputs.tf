output "plan" {
  description = "What planning takes beside ReadOnlyAccess."
  value       = data.aws_iam_policy_document.plan.json
}

output "deploy" {
  description = "What deploying takes beside ReadOnlyAccess."
  value       = data.aws_iam_policy_document.deploy.json
}
