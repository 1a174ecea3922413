variable "project_id" {
  type        = string
  description = "The project that knows the role."
}

variable "role_id" {
  type        = string
  description = "The role's name. A deleted one can't be made again for weeks: undelete it instead."

  validation {
    condition     = can(regex("^[a-zA-Z0-9_.]{3,64}$", var.role_id))
    error_message = "Write 3 to 64 letters, digits, '_' and '.'."
  }
}

variable "title" {
  type        = string
  description = "The role's name for people."
}

variable "why" {
  type        = string
  description = "Why no predefined role will do."

  validation {
    condition     = length(var.why) > 0 && length(var.why) <= 256
    error_message = "Say in 1 to 256 characters why no predefined role will do."
  }
}

variable "permissions" {
  type        = set(string)
  description = "What the role allows, as 'run.jobs.run'."

  validation {
    condition     = length(var.permissions) > 0 && alltrue([for one in var.permissions : can(regex("^[a-z]+\\.[a-zA-Z]+\\.[a-zA-Z]+$", one))])
    error_message = "Write each permission out, as 'run.jobs.run'."
  }
}
