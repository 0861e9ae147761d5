variable "project" {
  description = "Name of the project."
  type        = string
}

variable "environment" {
  description = "The environment that may be changed."
  type        = string
}

variable "region" {
  description = "AWS region of the environment."
  type        = string
}

variable "state_bucket" {
  description = "ARN of the bucket with the states of all environments."
  type        = string
}

variable "state_key_arn" {
  description = "KMS key of that bucket."
  type        = string
}

variable "boundary_arn" {
  description = "Policy without which no role may be made."
  type        = string
}
