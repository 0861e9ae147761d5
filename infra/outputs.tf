output "settings" {
  description = "Environment variables of the `aws` profile; `make infra-settings` writes them to a file."
  value       = local.settings
}

output "secrets" {
  description = "By environment variable, the secret it comes from: ARN, then a key in it if any, as ECS writes it."
  value       = merge(local.service_secrets, local.worker_secrets)
}

output "secret_places" {
  description = "By secret, its ARN, and the user of its password if it holds one: what `make deploy` writes."
  value       = module.secrets.places
}

output "deployment" {
  description = "What the commands that deploy ask for."
  value = {
    url              = module.balancer.url
    key_secret       = module.secrets.arns["api-key"]
    cluster          = module.cluster.name
    services         = merge(module.service.names, module.prefect.service_names, { mlflow = module.mlflow.service_name, model-sync = module.model_sync.service_name })
    service_tasks    = module.service.task_definitions
    setup_task       = module.setup.arn
    pages_task       = module.pages.arn
    pages_group      = module.network.security_group_ids["pages"]
    flows_task       = module.prefect.worker_task_definition
    subnets          = module.network.private_subnet_ids
    setup_group      = module.network.security_group_ids["setup"]
    flows_group      = module.network.security_group_ids["flows"]
    exports          = "s3://${module.bucket["exports"].name}"
    database         = module.database.identifier
    cache            = module.cache.identifier
    balancer         = module.balancer.suffix
    target_groups    = module.balancer.target_group_suffixes
    alarms           = module.alarms.names
    requires_account = local.boundary
  }
}
