variable "name" {
  description = "Name of the bucket, unique in all of AWS."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.name))
    error_message = "A bucket's name has 3 to 63 of a-z, 0-9 and hyphen."
  }
}

variable "key_arn" {
  description = "KMS key; null: S3's own key, for logs that AWS itself delivers."
  type        = string
  default     = null
}

variable "protected" {
  description = "Whether the bucket can be destroyed only when it is empty."
  type        = bool
}

variable "noncurrent_days" {
  description = "Days that replaced or deleted objects are kept."
  type        = number
  default     = 90
}

variable "expire_days" {
  description = "Days after which objects are deleted; null: never."
  type        = number
  default     = null
}

variable "policies" {
  description = "More policy documents (JSON) for the bucket."
  type        = list(string)
  default     = []
}
