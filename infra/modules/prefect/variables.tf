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

variable "discovery_arn" {
  description = "Where the server's task registers its address."
  type        = string
}

variable "image" {
  description = "Image of the flows, which holds Prefect, by digest."
  type        = string
}

variable "worker_command" {
  description = "What the worker runs: it registers the scheduled flows and runs them when they are due."
  type        = list(string)
  default     = ["python", "-m", "pipelines.orchestration.deployments"]
}

variable "settings" {
  description = "Environment of the worker: the `aws` settings profile."
  type        = map(string)
}

variable "secrets" {
  description = "By environment variable of the worker, the secret it comes from."
  type        = map(string)
}

variable "bucket_access" {
  description = "What its code may do in which bucket: read or write."
  type        = list(object({ arn = string, access = string }))
}

variable "sign_policy" {
  description = "What the worker, which registers models, may do with the key that signs them."
  type        = string
}

variable "folder" {
  description = "The server's folder of modules/files, which outlives its task."
  type        = map(string)
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
  description = "The server's user in PostgreSQL; the database is called prefect."
  type        = string
}

variable "database_secret_arn" {
  description = "Secret with that user's password."
  type        = string
}

variable "security_group_ids" {
  description = "Security groups of prefect (the server) and flows (the worker)."
  type        = map(string)
}

variable "server_cpu" {
  description = "CPU units of the server; 1024 is one core."
  type        = number
  default     = 512
}

variable "server_memory" {
  description = "Memory of the server in MiB."
  type        = number
  default     = 1024
}

variable "worker_cpu" {
  description = "CPU units of the worker, which trains."
  type        = number
}

variable "worker_memory" {
  description = "Memory of the worker in MiB."
  type        = number
}

variable "worker_storage_gb" {
  description = "Disk of the worker in GiB; it lives as long as the task."
  type        = number
  default     = 50
}
