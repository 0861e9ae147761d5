output "urls" {
  description = "By image, the repository to push to."
  value       = { for name, repository in aws_ecr_repository.this : name => repository.repository_url }
}

output "arns" {
  description = "By image, the repository's ARN."
  value       = { for name, repository in aws_ecr_repository.this : name => repository.arn }
}
