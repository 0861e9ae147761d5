variable "name" {
  description = "Project and environment, the prefix of every name."
  type        = string

  validation {
    condition     = length(var.name) <= 40
    error_message = "ElastiCache takes at most 40 characters: shorten project or environment."
  }
}

variable "subnet_ids" {
  description = "Private subnets."
  type        = list(string)
}

variable "security_group_id" {
  description = "The cache's security group."
  type        = string
}

variable "key_arn" {
  description = "KMS key that encrypts what is on disk."
  type        = string
}

variable "node_type" {
  description = "Size of a node."
  type        = string
}

variable "node_count" {
  description = "Nodes; from two on, another zone takes over when one is lost."
  type        = number
}

variable "snapshot_days" {
  description = "Days that daily snapshots are kept; the features can also be materialised again."
  type        = number
}

variable "protected" {
  description = "Whether a last snapshot is left when it is destroyed."
  type        = bool
}
