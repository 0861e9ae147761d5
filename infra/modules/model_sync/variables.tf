variable "project" {
  description = "Name of the project."
  type        = string
}

variable "name" {
  description = "Project and environment, the prefix of every name."
  type        = string
}

variable "cluster_arn" {
  description = "Cluster that runs it."
  type        = string
}

variable "capacity" {
  description = "FARGATE, or FARGATE_SPOT: cheaper, and taken away at two minutes' notice."
  type        = string
}

variable "image" {
  description = "Image of the flows, by digest."
  type        = string
}

variable "settings" {
  description = "Its environment: the `aws` settings profile."
  type        = map(string)
}

variable "folder" {
  description = "The folder of the served models, of modules/files."
  type        = map(string)
}

variable "subnet_ids" {
  description = "Private subnets."
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

variable "retention_days" {
  description = "Days that logs are kept."
  type        = number
}

variable "boundary_arn" {
  description = "Policy that bounds every role of the project, whatever is attached to it."
  type        = string
}
