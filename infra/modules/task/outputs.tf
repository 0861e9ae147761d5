output "arn" {
  description = "ARN of the newest revision; known when its roles have their rights."
  value       = aws_ecs_task_definition.this.arn
  depends_on  = [aws_iam_role_policy.execution, aws_iam_role_policy.task, aws_iam_role_policy.folders]
}

output "family" {
  description = "Name of the task definition."
  value       = aws_ecs_task_definition.this.family
}

output "role_arns" {
  description = "ARNs of its two roles, which whoever starts it must be allowed to pass."
  value       = [aws_iam_role.execution.arn, aws_iam_role.task.arn]
}

output "execution_policy" {
  description = "What its execution role may do."
  value       = data.aws_iam_policy_document.execution.json
}

output "task_policy" {
  description = "What its code may do."
  value       = data.aws_iam_policy_document.buckets.json
}

output "folders_policy" {
  description = "What its code may do with folders that outlive it."
  value       = data.aws_iam_policy_document.folders.json
}

output "task_role_name" {
  description = "Name of the role of its code."
  value       = aws_iam_role.task.name
}
