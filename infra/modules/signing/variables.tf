variable "name" {
  description = "Project and environment, the prefix of the key's alias."
  type        = string
}

variable "protected" {
  description = "Whether the key waits 30 days instead of 7 before it is deleted."
  type        = bool
}
