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

variable "host_name" {
  description = "Public name of the environment's service: the only one that it may write, with its certificate's proof."
  type        = string
}

variable "hosted_zone_id" {
  description = "Zone that holds that name."
  type        = string
}

variable "public_zone_ids" {
  description = "Public zones of the account's environments, none of which may be removed."
  type        = set(string)
}

variable "images_account" {
  description = "Number of the account that holds the images; null: this one."
  type        = string
  default     = null
}
