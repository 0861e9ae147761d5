output "names" {
  description = "By track that runs, the name of its ECS service."
  value = merge(
    { stable = aws_ecs_service.stable.name },
    { for service in aws_ecs_service.canary : "canary" => service.name },
  )
}

output "task_definitions" {
  description = "By track that runs, the ARN of its task definition."
  value       = { for track, task in module.task : track => task.arn }
}

output "role_arns" {
  description = "Roles of its tasks."
  value       = flatten([for task in module.task : task.role_arns])
}

output "policies" {
  description = "By track, what its two roles may do."
  value       = { for track, task in module.task : track => [task.execution_policy, task.task_policy] }
}
