variable "project" {
  description = "Name of the project, the prefix of each role."
  type        = string
}

variable "roles" {
  description = "By short name: who may take the role, and what it may do."
  type = map(object({
    description        = string
    subjects           = list(string)
    policy             = string
    managed_policy_arn = optional(string)
  }))

  validation {
    condition = alltrue(flatten([
      for role in values(var.roles) : [
        for subject in role.subjects :
        can(regex("^repo:[^:*?]+/[^:*?]+:(environment:[^:*?]+|ref:refs/heads/[^:*?]+|pull_request)$", subject))
      ]
    ]))
    error_message = "A trusted subject names one repository and one environment, branch or pull_request, without * or ?, such as repo:owner/name:environment:production (new repositories: repo:owner@1/name@2:...)."
  }

  validation {
    condition     = alltrue([for role in values(var.roles) : length(role.subjects) > 0])
    error_message = "A role that trusts nobody is of no use: give it at least one subject."
  }
}
