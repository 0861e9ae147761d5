variable "place" {
  description = "Where tasks of the environment run: names, cluster, subnets, processors, key, boundary of roles, days that logs are kept."
  type = object({
    project        = string
    name           = string
    cluster_arn    = string
    subnet_ids     = list(string)
    architecture   = string
    key_arn        = string
    boundary_arn   = string
    retention_days = number
  })
}

variable "cluster_name" {
  description = "Name of that cluster, for autoscaling."
  type        = string
}

variable "image" {
  description = "Image of the service, by digest."
  type        = string
}

variable "canary_image" {
  description = "Image that is tried beside it, by digest; null: none."
  type        = string
}

variable "folder" {
  description = "The folder of the served models, of modules/files; the service reads it."
  type        = map(string)
}

variable "capacity" {
  description = "FARGATE, or FARGATE_SPOT: cheaper, and taken away at two minutes' notice."
  type        = string
}

variable "settings" {
  description = "Environment of every task: the `aws` settings profile."
  type        = map(string)
}

variable "service_settings" {
  description = "Environment of the service beside it."
  type        = map(string)
}

variable "secrets" {
  description = "By environment variable, the secret it comes from."
  type        = map(string)
}

variable "bucket_access" {
  description = "What its code may do in which bucket: read or write."
  type        = list(object({ arn = string, access = string }))
}

variable "security_group_id" {
  description = "The service's security group."
  type        = string
}

variable "target_group_arns" {
  description = "By track (stable, canary), its target group."
  type        = map(string)
}

variable "balancer_suffix" {
  description = "The load balancer's name in CloudWatch."
  type        = string
}

variable "target_group_suffixes" {
  description = "By track, the target group's name in CloudWatch."
  type        = map(string)
}

variable "rollback_alarms" {
  description = "Alarms that take a deployment back while it runs."
  type        = set(string)
}

variable "cpu" {
  description = "CPU units of a task; 1024 is one core."
  type        = number
}

variable "memory" {
  description = "Memory of a task in MiB."
  type        = number
}

variable "least_tasks" {
  description = "Tasks that always run."
  type        = number
}

variable "most_tasks" {
  description = "Tasks at the highest load."
  type        = number
}

variable "requests_per_task" {
  description = "Requests a minute that one task is to answer."
  type        = number
  default     = 30000
}
