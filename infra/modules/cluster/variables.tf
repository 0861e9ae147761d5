variable "name" {
  description = "Project and environment, the prefix of every name."
  type        = string
}

variable "vpc_id" {
  description = "The VPC in which the private names are known."
  type        = string
}
