variable "project_id" {
  type        = string
  description = "The project that owns the repository."
}

variable "location" {
  type        = string
  description = "The region that keeps the images."
}

variable "name" {
  type        = string
  description = "The repository's name."

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.name))
    error_message = "Write 1 to 63 small letters, digits and '-', beginning with a letter."
  }
}

variable "purpose" {
  type        = string
  description = "Which images it keeps."
}

variable "keep_images" {
  type        = number
  default     = 10
  description = "How many of each image's newest versions stay, however old: so far back can be rolled."

  validation {
    condition     = var.keep_images >= 2
    error_message = "Keep 2 or more: the one that serves, and the one to go back to."
  }
}

variable "delete_after_days" {
  type        = number
  default     = 30
  description = "Days after which the other versions are deleted."

  validation {
    condition     = var.delete_after_days >= 1
    error_message = "Give 1 day or more."
  }
}

variable "grants" {
  type = map(object({
    role   = string
    member = string
  }))
  default     = {}
  description = "Who may do what with the images."

  validation {
    condition     = alltrue([for grant in var.grants : !contains(["allUsers", "allAuthenticatedUsers"], grant.member)])
    error_message = "Name a member: the images are for nobody else."
  }
}
