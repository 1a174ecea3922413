variable "project_id" {
  type        = string
  description = "The project that owns the bucket."
}

variable "name" {
  type        = string
  description = "The bucket's name, unique in the world."

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.name))
    error_message = "Write 3 to 63 small letters, digits and '-'."
  }
}

variable "location" {
  type        = string
  description = "The region or multi-region that keeps the objects."
}

variable "versioning" {
  type        = bool
  default     = true
  description = "Whether an overwritten or deleted object stays as a noncurrent version."
}

variable "noncurrent_days" {
  type        = number
  default     = 30
  description = "Days after which noncurrent versions are deleted. Null: never."

  validation {
    condition     = var.noncurrent_days == null ? true : var.noncurrent_days >= 1
    error_message = "Give 1 day or more, or null to keep noncurrent versions for ever."
  }
}

variable "soft_delete_days" {
  type        = number
  default     = 7
  description = "Days in which a deleted object can be restored, whatever deleted it. 0: none."

  validation {
    condition     = var.soft_delete_days == 0 || (var.soft_delete_days >= 7 && var.soft_delete_days <= 90)
    error_message = "Cloud Storage keeps deleted objects for 7 to 90 days; 0 switches that off."
  }
}

variable "retention_days" {
  type        = number
  default     = null
  description = "Days in which no object can be deleted or overwritten by anybody. Null: no such rule."

  validation {
    condition     = var.retention_days == null ? true : (var.retention_days >= 1 && !var.versioning)
    error_message = "Give 1 day or more, and versioning = false: Cloud Storage has one or the other."
  }
}

variable "expiry_days" {
  type        = map(number)
  default     = {}
  description = "Folder -> days after which its objects are deleted."

  validation {
    condition     = alltrue([for folder, days in var.expiry_days : days >= 1 && can(regex("^[a-z][a-z0-9_-]*$", folder))])
    error_message = "Name a folder without '/', and give it 1 day or more."
  }
}

variable "force_destroy" {
  type        = bool
  default     = false
  description = "Whether a destroy deletes a bucket that isn't empty."
}

variable "grants" {
  type = map(object({
    role   = string
    member = string
    why    = string
    folder = optional(string)
  }))
  default     = {}
  description = "Who may do what with the objects: in one folder, or in all where none is named."

  validation {
    condition     = alltrue([for grant in var.grants : !contains(["allUsers", "allAuthenticatedUsers"], grant.member)])
    error_message = "Name a member: nothing in these buckets is for everybody."
  }

  validation {
    condition     = alltrue([for grant in var.grants : length(grant.why) > 0])
    error_message = "Give each grant its reason under 'why'."
  }
}
