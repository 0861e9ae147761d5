output "backend" {
  description = "What `terraform init` of the root is told, beside the key of the environment."
  value = {
    bucket     = module.state.name
    region     = var.region
    kms_key_id = module.encryption.key_arn
  }
}

output "repositories" {
  description = "By image, where it is pushed to."
  value       = local.has_images ? module.registry[0].urls : {}
}

output "role_arns" {
  description = "By short name, the role that a workflow takes."
  value       = module.github.role_arns
}
