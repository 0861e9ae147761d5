output "name" {
  description = "Name of the cluster."
  value       = aws_ecs_cluster.this.name
}

output "arn" {
  description = "ARN of the cluster."
  value       = aws_ecs_cluster.this.arn
}

output "hosts" {
  description = "By server (mlflow, prefect), its private name."
  value = {
    for name, service in aws_service_discovery_service.this :
    name => "${name}.${aws_service_discovery_private_dns_namespace.this.name}"
  }
}

output "discovery_arns" {
  description = "By server, the ARN under which its tasks register."
  value       = { for name, service in aws_service_discovery_service.this : name => service.arn }
}
