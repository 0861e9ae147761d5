variable "name" {
  description = "Project and environment, the prefix of every name."
  type        = string
}

variable "cidr" {
  description = "Addresses of the VPC; a /16 gives 8 public and 8 private subnets of 4,091 addresses."
  type        = string
}

variable "zone_count" {
  description = "Availability zones used; RDS and the load balancer need two."
  type        = number

  validation {
    condition     = var.zone_count >= 2 && var.zone_count <= 8
    error_message = "Use 2 to 8 availability zones."
  }
}

variable "nat_per_zone" {
  description = "A NAT gateway in each zone, so that the loss of one takes no other zone offline; else one for all."
  type        = bool
}

variable "key_arn" {
  description = "KMS key for the log of refused connections."
  type        = string
}

variable "retention_days" {
  description = "Days that logs are kept."
  type        = number
}

variable "boundary_arn" {
  description = "Policy that bounds every role of the project, whatever is attached to it."
  type        = string
}
