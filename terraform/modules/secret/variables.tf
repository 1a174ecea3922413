variable "project_id" {
  type        = string
  description = "The project that keeps the secret."
}

variable "location" {
  type        = string
  description = "The region that keeps its value."
}

variable "name" {
  type        = string
  description = "The secret's name: 'admin-api-key' is ADMIN_API_KEY in the environment of who uses it."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,62}$", var.name))
    error_message = "Write 1 to 63 of a-z, 0-9 and '-', beginning with a letter."
  }
}

variable "accessors" {
  type        = map(string)
  description = "Who may read the value: any key -> the member."

  validation {
    condition     = alltrue([for member in var.accessors : startswith(member, "serviceAccount:")])
    error_message = "Name service accounts only, as 'serviceAccount:...': people add versions, and needn't read them."
  }
}

variable "rotate_every_days" {
  type        = number
  default     = 90
  description = "How often the value should be changed. A hint for people, kept beside the secret."

  validation {
    condition     = var.rotate_every_days >= 1
    error_message = "Give 1 day or more."
  }
}

variable "deletion_protection" {
  type        = bool
  default     = true
  description = "Whether Terraform refuses to delete the secret."
}
