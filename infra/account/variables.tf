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

variable "environments" {
  description = "Which environments this account holds: both, or one of two accounts' each."
  type        = set(string)
  default     = ["staging", "production"]

  validation {
    condition     = length(var.environments) > 0 && length(setsubtract(var.environments, ["staging", "production"])) == 0
    error_message = "Expected staging, production or both."
  }
}

variable "images_account" {
  description = "Number of the account that holds the images, the same for all environments; null: this one."
  type        = string
  default     = null
}

variable "image_readers" {
  description = "Numbers of other accounts that run images of this one."
  type        = set(string)
  default     = []
}

variable "repository" {
  description = "The repository on GitHub whose workflows deploy: owner/name."
  type        = string
}

variable "repository_ids" {
  description = "Ids of owner and repository, for a repository made since 2026-07-15, whose tokens hold them: gh api repos/owner/name --jq '.owner.id, .id'"
  type        = object({ owner = number, repository = number })
  default     = null
}

variable "has_github_provider" {
  description = "Whether the account has an OIDC provider of token.actions.githubusercontent.com already: an account takes one."
  type        = bool
  default     = false
}
