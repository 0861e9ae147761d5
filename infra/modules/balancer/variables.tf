variable "name" {
  description = "Project and environment, the prefix of every name."
  type        = string

  validation {
    condition     = length(var.name) <= 25
    error_message = "A target group takes at most 32 characters: project and environment may have 25 together."
  }
}

variable "host_name" {
  description = "Public name of the service, within the hosted zone."
  type        = string
}

variable "hosted_zone_id" {
  description = "Route 53 zone that the name and the certificate's proof are written to."
  type        = string
}

variable "vpc_id" {
  description = "The VPC of the targets."
  type        = string
}

variable "public_subnet_ids" {
  description = "Subnets of the load balancer."
  type        = list(string)
}

variable "security_group_id" {
  description = "The load balancer's security group."
  type        = string
}

variable "log_bucket" {
  description = "Bucket for the access logs."
  type        = string
}

variable "health_path" {
  description = "Path that answers 200 while the service is alive."
  type        = string
  default     = "/health/live"
}

variable "canary_percent" {
  description = "Share of requests that go to the canary, 0 to 100."
  type        = number
}

variable "protected" {
  description = "Whether the load balancer refuses to be deleted."
  type        = bool
}
