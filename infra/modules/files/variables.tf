variable "name" {
  description = "Project and environment, the prefix of every name."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, one in each zone."
  type        = list(string)
}

variable "security_group_id" {
  description = "Its security group."
  type        = string
}

variable "key_arn" {
  description = "KMS key of the environment."
  type        = string
}
