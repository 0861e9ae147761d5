variable "name" {
  description = "Project and environment, the prefix of every name."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets."
  type        = list(string)
}

variable "security_group_id" {
  description = "The database's security group."
  type        = string
}

variable "key_arn" {
  description = "KMS key that encrypts storage, backups and insights."
  type        = string
}

variable "instance_class" {
  description = "Size of the server."
  type        = string
}

variable "storage_gb" {
  description = "Storage in GB at first; it grows by itself up to four times that."
  type        = number
}

variable "multi_zone" {
  description = "Whether a standby waits in another zone."
  type        = bool
}

variable "backup_days" {
  description = "Days that daily backups are kept."
  type        = number
}

variable "protected" {
  description = "Whether the server refuses to be deleted, and leaves a snapshot."
  type        = bool
}

variable "admin_user" {
  description = "Name of the administrator."
  type        = string
}

variable "boundary_arn" {
  description = "Policy that bounds every role of the project, whatever is attached to it."
  type        = string
}

variable "first_password" {
  description = "Password it is made with, which nobody keeps: `make deploy` gives it that of its secret (tools/deploy/passwords.py)."
  type        = string
  ephemeral   = true
  sensitive   = true
}
