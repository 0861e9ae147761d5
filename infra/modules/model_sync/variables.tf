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

variable "security_group_id" {
  description = "Its security group."
  type        = string
}
