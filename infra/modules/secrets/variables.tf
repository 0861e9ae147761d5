variable "project" {
  description = "Name of the project."
  type        = string
}

variable "name" {
  description = "Project and environment, the prefix of every name."
  type        = string
}

variable "key_arn" {
  description = "KMS key that encrypts the secrets."
  type        = string
}

variable "protected" {
  description = "Whether a deleted secret can be had back for 30 days."
  type        = bool
}
