variable "name" {
  description = "Project and environment, such as flightline-staging; the key's alias and the prefix of log groups."
  type        = string
}

variable "protected" {
  description = "Whether the key waits 30 days instead of 7 before it is deleted."
  type        = bool
}
