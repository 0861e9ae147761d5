variable "project" {
  description = "Name of the project, the prefix of each repository."
  type        = string
}

variable "repositories" {
  description = "Names of the images."
  type        = set(string)
}

variable "key_arn" {
  description = "KMS key that encrypts the images."
  type        = string
}

variable "kept_images" {
  description = "Images kept in each repository; a rollback needs the ones before."
  type        = number
  default     = 100
}

variable "force_delete" {
  description = "Whether a repository can be destroyed with images in it."
  type        = bool
  default     = false
}

variable "readers" {
  description = "Numbers of other accounts that run these images."
  type        = set(string)
  default     = []
}
