variable "project_id" {
  type        = string
  description = "The project that everything is made in: one per environment."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "Write the project's id (6 to 30 small letters, digits and '-'), not its name or number."
  }
}

variable "environment" {
  type        = string
  description = "Which environment this is: production refuses to start without secrets, and opens nothing but health."

  validation {
    condition     = contains(["development", "staging", "production"], var.environment)
    error_message = "Write development, staging or production."
  }
}

variable "region" {
  type        = string
  default     = "europe-west1"
  description = "The region of everything. Data can't be moved to another one later."

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "Write a region, as 'europe-west1': neither a zone nor a multi-region."
  }
}

variable "prefix" {
  type        = string
  default     = "mlengine-"
  description = "What the names of functions, jobs, schedules and accounts begin with."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,10}-$", var.prefix))
    error_message = "Write up to 12 small letters, digits and '-', beginning with a letter and ending with '-': the names of accounts are short."
  }
}

variable "labels" {
  type        = map(string)
  default     = {}
  description = "Labels on everything, besides 'app' and 'environment'."

  validation {
    condition     = alltrue([for key, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value))])
    error_message = "Labels are small letters, digits, '_' and '-', up to 63 of them; a key begins with a letter."
  }
}

variable "firestore_database" {
  type        = string
  default     = "(default)"
  description = "The database of documents. Only '(default)' has Firestore's free quota."
}

variable "market_data_url" {
  type        = string
  description = "The upstream of candles."

  validation {
    condition     = can(regex("^https://[^\\s/]+[^\\s]*$", var.market_data_url))
    error_message = "Write an address that begins with https://: the upstream is reached over the Internet."
  }
}

variable "settings" {
  type        = map(string)
  default     = {}
  description = "Settings other than their defaults, by their names in .env.example. A function gets those that the catalogue lists for it."

  validation {
    condition     = length(setsubtract(keys(var.settings), local.settable)) == 0
    error_message = "Only what the catalogue lists under 'settings', LOG_LEVEL and PLATFORM_TIMEOUT_SECONDS can be set here; the rest follows from the other variables."
  }

  validation {
    condition     = var.public || !contains(keys(var.settings), "OPEN_ROUTES")
    error_message = "OPEN_ROUTES lets callers in without a key, but Cloud Run lets nobody in without an identity: set public = true too."
  }
}

variable "event_schemas" {
  type        = bool
  default     = true
  description = "Whether Pub/Sub checks events against the schemas of their topics. Otherwise only those who take them do."
}

variable "optional_secrets" {
  type        = set(string)
  default     = []
  description = "Which secrets are used of those that need not be there, as 'SLACK_WEBHOOK_URL'. Each must have a value before what uses it is deployed."

  validation {
    condition     = length(setsubtract(var.optional_secrets, local.optional_secrets)) == 0
    error_message = "Only what the catalogue lists under 'optional_secrets' can be used: ${join(", ", local.optional_secrets)}."
  }
}

variable "bundles_dir" {
  type        = string
  default     = "../build/bundles"
  description = "The folder of the functions' bundles, <function>.zip each, relative to this one."
}

variable "job_image" {
  type        = string
  description = "The jobs' image, by its digest."

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.job_image))
    error_message = "Name the image by its digest ('...@sha256:' and 64 hex digits): a tag may mean another image tomorrow."
  }
}

variable "public" {
  type        = bool
  default     = false
  description = "Whether everybody can reach the functions that have routes, which then ask for a key. Otherwise only 'invokers' can, with an identity token besides the key."
}

variable "invokers" {
  type        = map(string)
  default     = {}
  description = "Who may call the functions that have routes: any key -> the member, as 'group:apps@example.com'."

  validation {
    condition     = alltrue([for member in var.invokers : can(regex("^(user|group|domain|serviceAccount|principal|principalSet):", member))])
    error_message = "Write members as 'group:apps@example.com'; to open the API to everybody, set public = true."
  }
}

variable "ingress" {
  type        = string
  default     = null
  description = "From where the functions that have routes can be reached. Null: from everywhere, with a domain through the load balancer alone. The others take Pub/Sub's calls only."

  validation {
    condition     = var.ingress == null ? true : contains(["ALLOW_ALL", "ALLOW_INTERNAL_ONLY", "ALLOW_INTERNAL_AND_GCLB"], var.ingress)
    error_message = "Write ALLOW_ALL, ALLOW_INTERNAL_ONLY or ALLOW_INTERNAL_AND_GCLB."
  }
}

variable "min_instances" {
  type        = map(number)
  default     = {}
  description = "Function -> instances that are kept warm, and paid for. Those that aren't named scale to zero."

  validation {
    condition     = length(setsubtract(keys(var.min_instances), keys(local.functions))) == 0
    error_message = "Name functions as the catalogue does, as 'batch_predict'."
  }
}

variable "schedules_paused" {
  type        = bool
  description = "Whether schedules are made paused. Afterwards they are the operators' to pause and resume."
}

variable "point_in_time_recovery" {
  type        = bool
  description = "Whether documents can be read as they were at any minute of the last 7 days."
}

variable "backup_days" {
  type        = number
  description = "Days that a daily backup of the documents is kept. 0: no backups."
}

variable "blob_expiry_days" {
  type        = map(number)
  default     = { scores = 90, inputs = 90, uploads = 2 }
  description = "Folder of blobs -> days after which they are deleted."

  validation {
    condition     = length(setintersection(keys(var.blob_expiry_days), ["models", "candles"])) == 0
    error_message = "Models and candles don't expire: a version that was live must be there for ever."
  }
}

variable "deletion_protection" {
  type        = bool
  description = "Whether documents, blobs, secrets and jobs are safe from being deleted."

  validation {
    condition     = var.deletion_protection || var.environment != "production"
    error_message = "Production is protected: set deletion_protection = true."
  }
}
