variable "project" {
  description = "Name of the project, the prefix of each role."
  type        = string
}

variable "repository" {
  description = "The repository on GitHub whose workflows are trusted: owner/name."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.repository))
    error_message = "Expected one repository as owner/name, without * or ?."
  }
}

variable "repository_ids" {
  description = "Ids of owner and repository, of a repository made since 2026-07-15; null: an older one, whose tokens do not hold them."
  type        = object({ owner = number, repository = number })
  default     = null
}

variable "has_provider" {
  description = "Whether the account has a provider of GitHub's tokens already."
  type        = bool
  default     = false
}

variable "roles" {
  description = "By short name: from where it may be taken (environment:NAME, ref:refs/heads/NAME, pull_request), its policies by part, and how long a session may last."
  type = map(object({
    description     = string
    trusted         = list(string)
    policies        = map(string)
    session_seconds = optional(number, 3600)
  }))

  validation {
    condition = alltrue(flatten([
      for role in values(var.roles) : [
        for from in role.trusted : can(regex("^(environment:[^:*?]+|ref:refs/heads/[^:*?]+|pull_request)$", from))
      ]
    ]))
    error_message = "A role is trusted to one environment, one branch or pull_request, without * or ?, such as environment:production."
  }

  validation {
    condition     = alltrue([for role in values(var.roles) : length(role.trusted) > 0])
    error_message = "A role that trusts nobody is of no use: say from where it is taken."
  }
}
