variable "name" {
  description = "Project and environment, the prefix of every name, and the namespace of the metrics."
  type        = string
}

variable "topic_arn" {
  description = "Topic that the alarms are sent to."
  type        = string
}
