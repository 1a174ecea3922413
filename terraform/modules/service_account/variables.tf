variable "project_id" {
  type        = string
  description = "The project that the account is in."
}

variable "account_id" {
  type        = string
  description = "The account's name, the part before the '@'."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.account_id))
    error_message = "Write 6 to 30 small letters, digits and '-', beginning with a letter: choose a shorter prefix, or a shorter name."
  }
}

variable "purpose" {
  type        = string
  description = "What runs as this account."

  validation {
    condition     = length(var.purpose) > 0 && length(var.purpose) <= 256
    error_message = "Say in 1 to 256 characters what runs as this account."
  }
}

variable "roles" {
  type = map(object({
    role = string
    why  = string
    condition = optional(object({
      title      = string
      expression = string
    }))
  }))
  default     = {}
  description = "Roles on the project, each under what it is for, with its reason. What a single resource can grant is granted there instead."

  validation {
    condition     = alltrue([for grant in var.roles : length(grant.why) > 0])
    error_message = "Give each role its reason under 'why'."
  }

  validation {
    condition     = alltrue([for grant in var.roles : !contains(["roles/owner", "roles/editor", "roles/viewer"], grant.role)])
    error_message = "Name the role that is needed: owner, editor and viewer give nearly everything."
  }
}
