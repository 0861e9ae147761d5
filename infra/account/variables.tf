variable "project" {
  description = "Name of the project, the prefix of every name: 3 to 14 of a-z, 0-9 and hyphen."
  type        = string
  default     = "flightline"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,12}[a-z0-9]$", var.project))
    error_message = "Expected 3 to 14 of a-z, 0-9 and hyphen, beginning with a letter."
  }
}

variable "region" {
  description = "AWS region of everything."
  type        = string
  default     = "us-east-1"
}

variable "protected" {
  description = "Whether state and images survive a destroy while there are any."
  type        = bool
  default     = true
}

variable "trusted_subjects" {
  description = "By role (image, plan-staging, plan-production, staging, production), the subjects of GitHub's tokens that may take it, written out. Repositories made since 2026-07-15 send repo:owner@id/name@id:..."
  type        = map(list(string))

  validation {
    condition = alltrue([
      for role in ["image", "plan-staging", "plan-production", "staging", "production"] : contains(keys(var.trusted_subjects), role)
    ])
    error_message = "Give the subjects of each role: image, plan-staging, plan-production, staging, production."
  }

  validation {
    condition = alltrue([
      for subject in var.trusted_subjects["production"] : endswith(subject, ":environment:production")
    ])
    error_message = "Production is trusted to GitHub's environment `production` only, where a person approves."
  }
}
