variable "project_id" {
  type        = string
  description = "The project that the topic is in."
}

variable "region" {
  type        = string
  description = "The region that keeps the messages."
}

variable "name" {
  type        = string
  description = "The topic's name, as the engine publishes on it."

  validation {
    condition     = can(regex("^[a-z][a-z]*\\.[a-z]+$", var.name)) && !startswith(var.name, "goog")
    error_message = "Write two words of small letters, as 'predictions.made'."
  }
}

variable "retention_days" {
  type        = number
  default     = 0
  description = "Days that the topic keeps its messages, so that a subscription can be wound back. 0: none; costs by the volume."

  validation {
    condition     = var.retention_days >= 0 && var.retention_days <= 31
    error_message = "Give 0 to 31 days."
  }
}

variable "avro_schema" {
  type        = string
  default     = null
  description = "The Avro schema of its messages, as JSON. Null: Pub/Sub takes any, and the engine checks."

  validation {
    condition     = var.avro_schema == null ? true : can(jsondecode(var.avro_schema).fields)
    error_message = "Give an Avro record as JSON: {\"type\": \"record\", \"name\": ..., \"fields\": [...]}."
  }
}

variable "publishers" {
  type        = map(string)
  default     = {}
  description = "Who may publish on it: any key -> the member."

  validation {
    condition     = alltrue([for member in var.publishers : startswith(member, "serviceAccount:")])
    error_message = "Name service accounts, as 'serviceAccount:...'."
  }
}

variable "subscriptions" {
  type = map(object({
    endpoint              = string
    service_account_email = string
    gives_up              = optional(bool, true)
  }))
  default     = {}
  description = "The function that takes the events -> its address, the account that Pub/Sub calls it as, and whether an event becomes a dead letter in the end."
}

variable "ack_deadline_seconds" {
  type        = number
  default     = 600
  description = "Seconds after which an event that isn't answered comes again. The most there is: what succeeds later has failed for Pub/Sub."

  validation {
    condition     = var.ack_deadline_seconds >= 10 && var.ack_deadline_seconds <= 600
    error_message = "Give 10 to 600 seconds."
  }
}

variable "minimum_backoff_seconds" {
  type        = number
  default     = 10
  description = "Seconds before a failed event comes again for the first time."

  validation {
    condition     = var.minimum_backoff_seconds >= 0 && var.minimum_backoff_seconds <= var.maximum_backoff_seconds
    error_message = "Give 0 seconds or more, and no more than the longest wait."
  }
}

variable "maximum_backoff_seconds" {
  type        = number
  default     = 600
  description = "The longest wait between two attempts."

  validation {
    condition     = var.maximum_backoff_seconds <= 600
    error_message = "Pub/Sub waits for 600 seconds at most."
  }
}

variable "max_delivery_attempts" {
  type        = number
  default     = 5
  description = "Attempts after which an event becomes a dead letter."

  validation {
    condition     = var.max_delivery_attempts >= 5 && var.max_delivery_attempts <= 100
    error_message = "Give 5 to 100."
  }
}

variable "dead_letter_topic" {
  type        = string
  default     = null
  description = "The full name of the topic for dead letters. Null where no subscription gives up."
}

variable "pubsub_agent" {
  type        = string
  description = "Pub/Sub's own account in the project, as a member."

  validation {
    condition     = can(regex("^serviceAccount:service-[0-9]+@gcp-sa-pubsub\\.iam\\.gserviceaccount\\.com$", var.pubsub_agent))
    error_message = "Write serviceAccount:service-<project number>@gcp-sa-pubsub.iam.gserviceaccount.com."
  }
}
