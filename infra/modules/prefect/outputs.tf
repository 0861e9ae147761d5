output "service_names" {
  description = "Names of the ECS services of server and worker."
  value       = { server = aws_ecs_service.server.name, worker = aws_ecs_service.worker.name }
}

output "worker_task_definition" {
  description = "Task definition of the worker; one-off flows run from it under another command."
  value       = module.worker.arn
}

output "role_arns" {
  description = "Roles of their tasks."
  value       = concat(module.server.role_arns, module.worker.role_arns)
}

output "policies" {
  description = "What their roles may do."
  value = [
    module.server.execution_policy, module.server.task_policy,
    module.worker.execution_policy, module.worker.task_policy, var.sign_policy,
  ]
}
