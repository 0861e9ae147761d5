variable "place" {
  description = "Of its environment: names, processors, key, boundary of roles, days that logs are kept."
  type = object({
    project        = string
    name           = string
    architecture   = string
    key_arn        = string
    boundary_arn   = string
    retention_days = number
  })
}

variable "name" {
  description = "Its name within the environment, which task definition, log group and roles bear."
  type        = string
}

variable "cpu" {
  description = "CPU units; 1024 is one core."
  type        = number
}

variable "memory" {
  description = "Memory in MiB."
  type        = number
}

variable "is_entered" {
  description = "Whether a person may enter it by ECS Exec: SSM's agent writes to the root of the file system."
  type        = bool
  default     = false
}

variable "storage_gb" {
  description = "Disk of the task in GiB, from 21 to 200; it lives as long as the task."
  type        = number
  default     = 21
}

variable "containers" {
  description = "What runs in it; all containers share the writable paths."
  type = list(object({
    name           = string
    image          = string
    entry_point    = optional(list(string))
    command        = optional(list(string))
    environment    = optional(map(string), {})
    secrets        = optional(map(string), {})
    ports          = optional(list(number), [])
    health         = optional(list(string))
    health_seconds = optional(number, 15)
  }))

  validation {
    condition     = alltrue([for container in var.containers : can(regex("@sha256:[0-9a-f]{64}$", container.image))])
    error_message = "An image is named by its digest (repository@sha256:...): a tag may mean another image tomorrow."
  }
}

variable "writable_paths" {
  description = "The only folders that can be written to, empty at the start. The image declares them as VOLUME."
  type        = list(string)
  default     = ["/srv/flightline/.state", "/tmp"]
}

variable "file_folders" {
  description = "By writable path, a folder of modules/files that is mounted there in place of the task's own disk."
  type = map(object({
    file_system_id   = string
    file_system_arn  = string
    access_point_id  = string
    access_point_arn = string
    is_read_only     = optional(bool, false)
  }))
  default = {}

  validation {
    condition     = length(setsubtract(keys(var.file_folders), var.writable_paths)) == 0
    error_message = "A folder is mounted at one of writable_paths."
  }
}

variable "bucket_access" {
  description = "What the code may do in which bucket: read or write."
  type        = list(object({ arn = string, access = string }))
  default     = []

  validation {
    condition     = alltrue([for bucket in var.bucket_access : contains(["read", "write"], bucket.access)])
    error_message = "Access is read or write."
  }
}
