variable "project_id" {
  type        = string
  description = "The project that everything is made in."
}

variable "project_number" {
  type        = string
  description = "The project's number: it is in the name of Pub/Sub's own account, which writes the rows."

  validation {
    condition     = can(regex("^[0-9]+$", var.project_number))
    error_message = "project_number must be digits: write the number that 'gcloud projects describe' shows, not the id."
  }
}

variable "location" {
  type        = string
  description = "Where the rows rest: a region, or a multi-region. It can't be changed later."

  validation {
    condition     = can(regex("^(US|EU|[a-z]+-[a-z]+[0-9]+)$", var.location))
    error_message = "location must be a region or a multi-region: write 'europe-west1' or 'EU'."
  }
}

variable "definition" {
  type        = string
  description = "Where the table's files are, without their ends: '<definition>.table.json', '.schema.json' and '.view.sql'."

  validation {
    condition     = alltrue([for end in ["table.json", "schema.json", "view.sql"] : fileexists("${var.definition}.${end}")])
    error_message = "definition must have its .table.json, .schema.json and .view.sql: write the path of 'shared/monitoring/warehouse/predictions'."
  }
}

variable "topic" {
  type        = string
  description = "The topic whose events become rows, by its full id."

  validation {
    condition     = can(regex("^projects/[^/]+/topics/[^/]+$", var.topic))
    error_message = "topic must be a full id: write 'projects/<project>/topics/predictions.made'."
  }
}

variable "dead_letter_topic" {
  type        = string
  description = "The topic that takes the events which are no rows, by its full id. Pub/Sub's own account must be allowed to publish there."

  validation {
    condition     = can(regex("^projects/[^/]+/topics/[^/]+$", var.dead_letter_topic))
    error_message = "dead_letter_topic must be a full id: write 'projects/<project>/topics/dead.letters'."
  }
}

variable "subscription" {
  type        = string
  default     = "warehouse"
  description = "The subscription's name."

  validation {
    condition     = can(regex("^[a-z][a-z0-9._-]{2,254}$", var.subscription))
    error_message = "subscription must be 3 to 255 lower-case letters, digits, dots, hyphens and underscores: write 'warehouse'."
  }
}

variable "expiry_days" {
  type        = number
  default     = null
  description = "How long a day's rows are kept. null keeps them for ever."

  validation {
    condition     = var.expiry_days == null ? true : var.expiry_days >= 1 && floor(var.expiry_days) == var.expiry_days
    error_message = "expiry_days must be a whole number of at least 1, or null: write 730 for two years."
  }
}

variable "readers" {
  type        = set(string)
  default     = []
  description = "Who may ask questions of the rows, as IAM members. Whoever asks needs roles/bigquery.jobUser besides."

  validation {
    condition     = alltrue([for member in var.readers : can(regex("^(user|group|serviceAccount|domain|principal|principalSet):.+$", member))])
    error_message = "A reader is a member with its kind, and never everybody: write 'group:analysts@example.com'."
  }
}

variable "deletion_protection" {
  type        = bool
  default     = true
  description = "Whether Terraform refuses to delete the dataset and the rows in it."
}
