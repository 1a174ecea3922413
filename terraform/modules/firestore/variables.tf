variable "project_id" {
  type        = string
  description = "The project that owns the database."
}

variable "name" {
  type        = string
  default     = "(default)"
  description = "The database's name. Only '(default)' has Firestore's free quota."

  validation {
    condition     = can(regex("^(\\(default\\)|[a-z][a-z0-9-]{2,61}[a-z0-9])$", var.name))
    error_message = "Write '(default)', or 4 to 63 small letters, digits and '-'."
  }
}

variable "location" {
  type        = string
  description = "The region that keeps the documents. It can't be changed later."
}

variable "indexes" {
  type = list(object({
    collectionGroup = string
    queryScope      = string
    fields = list(object({
      fieldPath = string
      order     = string
    }))
  }))
  description = "The composite indexes, as 'indexes' of firestore.indexes.json."

  validation {
    condition     = alltrue([for index in var.indexes : length(index.fields) >= 2])
    error_message = "A composite index has 2 fields or more; Firestore keeps those of single fields by itself."
  }
}

variable "field_overrides" {
  type = list(object({
    collectionGroup = string
    fieldPath       = string
    ttl             = optional(bool, false)
    indexes = list(object({
      order      = string
      queryScope = string
    }))
  }))
  description = "Fields whose own indexes aren't the usual ones, mostly none, and those that say when a document expires: 'fieldOverrides' of firestore.indexes.json."

  validation {
    condition = alltrue(flatten([
      for field in var.field_overrides : [for index in field.indexes : contains(["ASCENDING", "DESCENDING"], index.order)]
    ]))
    error_message = "The order of a field's own index is ASCENDING or DESCENDING."
  }
}

variable "point_in_time_recovery" {
  type        = bool
  description = "Whether the database can be read as it was at any minute of the last 7 days. Costs as much as its storage."
}

variable "backup_days" {
  type        = number
  description = "Days that a daily backup is kept. 0: no backups."

  validation {
    condition     = var.backup_days >= 0 && var.backup_days <= 98
    error_message = "Firestore keeps a backup for up to 98 days; 0 makes none."
  }
}

variable "deletion_protection" {
  type        = bool
  description = "Whether the database can't be deleted, neither by Terraform nor by hand."
}
