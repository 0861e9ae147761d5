output "host" {
  description = "Private name of the server."
  value       = aws_db_instance.this.address
}

output "port" {
  description = "Port of the server."
  value       = aws_db_instance.this.port
}

output "admin_database" {
  description = "The database that the administrator connects to."
  value       = aws_db_instance.this.db_name
}

output "identifier" {
  description = "The server's name in CloudWatch."
  value       = aws_db_instance.this.identifier
}
