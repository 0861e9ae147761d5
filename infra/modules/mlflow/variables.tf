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

variable "region" {
  description = "AWS region."
  type        = string
}

variable "capacity" {
  description = "FARGATE, or FARGATE_SPOT: cheaper, and taken away at two minutes' notice."
  type        = string
}

variable "discovery_arn" {
  description = "Where its tasks register their addresses."
  type        = string
}

variable "host" {
  description = "Its private name."
  type        = string
}

variable "image" {
  description = "Image of the flows, which holds MLflow, by digest."
  type        = string
}

variable "bucket_name" {
  description = "Bucket of the models."
  type        = string
}

variable "bucket_arn" {
  description = "ARN of that bucket."
  type        = string
}

variable "database_host" {
  description = "Host of PostgreSQL."
  type        = string
}

variable "database_port" {
  description = "Port of PostgreSQL."
  type        = number
}

variable "database_user" {
  description = "Its user in PostgreSQL; the database is called mlflow."
  type        = string
}

variable "database_secret_arn" {
  description = "Secret with that user's password."
  type        = string
}

variable "security_group_id" {
  description = "Its security group."
  type        = string
}

variable "cpu" {
  description = "CPU units of a task; 1024 is one core."
  type        = number
  default     = 512
}

variable "memory" {
  description = "Memory of a task in MiB."
  type        = number
  default     = 2048
}

variable "tasks" {
  description = "How many run."
  type        = number
}
