variable "name" {
  description = "Project and environment, the prefix of every name."
  type        = string
}

variable "key_arn" {
  description = "KMS key of the topic."
  type        = string
}

variable "emails" {
  description = "Addresses that are told; each must confirm once."
  type        = set(string)
}

variable "balancer_suffix" {
  description = "The load balancer's name in CloudWatch."
  type        = string
}

variable "target_group_suffixes" {
  description = "By track (stable, canary), the target group's name in CloudWatch."
  type        = map(string)
}

variable "least_tasks" {
  description = "Tasks of the service that always run."
  type        = number
}

variable "database" {
  description = "The database's name in CloudWatch."
  type        = string
}

variable "database_storage_gb" {
  description = "Its first storage in GB."
  type        = number
}

variable "cache_nodes" {
  description = "The Redis nodes' names in CloudWatch."
  type        = list(string)
}

variable "services" {
  description = "By short name, an ECS service and how many tasks of it always run."
  type        = map(object({ name = string, tasks = number }))
}

variable "cluster_name" {
  description = "The ECS cluster's name."
  type        = string
}
