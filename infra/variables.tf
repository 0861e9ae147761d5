variable "project" {
  description = "Name of the project, the prefix of every name: 3 to 14 of a-z, 0-9 and hyphen."
  type        = string
  default     = "flightline"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,12}[a-z0-9]$", var.project))
    error_message = "Expected 3 to 14 of a-z, 0-9 and hyphen, beginning with a letter."
  }
}

variable "environment" {
  description = "Which environment this is."
  type        = string

  validation {
    condition     = contains(["staging", "production"], var.environment)
    error_message = "Expected staging or production."
  }
}

variable "region" {
  description = "AWS region of everything."
  type        = string
  default     = "us-east-1"
}

variable "allow_destroy" {
  description = "Takes the protection off production: apply with it first, then destroy."
  type        = bool
  default     = false
}

variable "host_name" {
  description = "Public name of the service, such as predictions.example.com."
  type        = string
}

variable "hosted_zone_id" {
  description = "Route 53 zone that holds host_name."
  type        = string
}

variable "service_image" {
  description = "Image of the service, as repository@sha256:digest."
  type        = string
}

variable "flows_image" {
  description = "Image of the flows, as repository@sha256:digest."
  type        = string
}

variable "canary_image" {
  description = "Image of the service that is tried beside service_image; null: none."
  type        = string
  default     = null
}

variable "canary_percent" {
  description = "Share of requests that the canary gets while there is one."
  type        = number
  default     = 10

  validation {
    condition     = var.canary_percent >= 0 && var.canary_percent <= 100
    error_message = "Expected 0 to 100."
  }
}

variable "event_clock" {
  description = "set: the event clock stands where training left it, as for the data of 2013 that the project ships with; real: the time of day, for live data."
  type        = string

  validation {
    condition     = contains(["set", "real"], var.event_clock)
    error_message = "Expected set or real."
  }
}

variable "vpc_cidr" {
  description = "Addresses of the VPC, a /16."
  type        = string

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && endswith(var.vpc_cidr, "/16")
    error_message = "Expected a /16, such as 10.20.0.0/16."
  }
}

variable "spot" {
  description = "Run the service, MLflow and the model sync on spare capacity, about 70 percent cheaper, taken away at two minutes' notice."
  type        = bool
  default     = false
}

variable "architecture" {
  description = "Processors that both images are built for: X86_64 or ARM64."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.architecture)
    error_message = "Expected X86_64 or ARM64."
  }
}

variable "zone_count" {
  description = "Availability zones used."
  type        = number
}

variable "nat_per_zone" {
  description = "A NAT gateway in each zone, or one for all."
  type        = bool
}

variable "service" {
  description = "Size (CPU units, MiB) and number of the service's tasks."
  type = object({
    cpu         = number
    memory      = number
    least_tasks = number
    most_tasks  = number
  })

  validation {
    condition     = var.service.least_tasks >= 1 && var.service.most_tasks >= var.service.least_tasks
    error_message = "At least one task, and the most are no fewer than the least."
  }
}

variable "mlflow_tasks" {
  description = "How many tasks of the MLflow server run."
  type        = number
}

variable "worker" {
  description = "Size of the worker (CPU units, MiB): a training takes 2.2 GB."
  type = object({
    cpu    = number
    memory = number
  })
}

variable "database" {
  description = "Size and safety of PostgreSQL."
  type = object({
    instance_class = string
    storage_gb     = number
    multi_zone     = bool
    backup_days    = number
  })
}

variable "cache" {
  description = "Size and safety of Redis."
  type = object({
    node_type     = string
    node_count    = number
    snapshot_days = number
  })
}

variable "log_days" {
  description = "Days that logs are kept."
  type        = number
}

variable "alarm_emails" {
  description = "Addresses that get alarms; each must confirm once."
  type        = set(string)
  default     = []
}
