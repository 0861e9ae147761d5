output "service_name" {
  description = "Name of its ECS service."
  value       = aws_ecs_service.this.name
}

output "role_arns" {
  description = "Roles of its tasks."
  value       = module.task.role_arns
}

output "policies" {
  description = "What its two roles may do."
  value       = [module.task.execution_policy, module.task.task_policy]
}
