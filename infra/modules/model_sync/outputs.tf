output "service_name" {
  description = "Name of its ECS service."
  value       = aws_ecs_service.this.name
}
