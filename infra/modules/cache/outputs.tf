output "host" {
  description = "Private name of the node that takes writes."
  value       = aws_elasticache_replication_group.this.primary_endpoint_address
}

output "port" {
  description = "Port of the nodes."
  value       = aws_elasticache_replication_group.this.port
}

output "node_ids" {
  description = "The nodes' names in CloudWatch; computed from the name, for alarms are planned before nodes are there."
  value       = [for number in range(1, var.node_count + 1) : format("%s-%03d", var.name, number)]
}

output "identifier" {
  description = "The cache's own name."
  value       = aws_elasticache_replication_group.this.id
}
