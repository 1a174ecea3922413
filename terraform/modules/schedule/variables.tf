variable "project_id" {
  type        = string
  description = "The project that the schedule is in."
}

variable "region" {
  type        = string
  description = "The region that it fires from."
}

variable "name" {
  type        = string
  description = "The schedule's name: the prefix, and the engine's name for it."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,62}$", var.name))
    error_message = "Write 1 to 63 small letters, digits and '-', beginning with a letter."
  }
}

variable "purpose" {
  type        = string
  description = "What it is for."

  validation {
    condition     = length(var.purpose) <= 500
    error_message = "Cloud Scheduler takes up to 500 characters."
  }
}

variable "cron" {
  type        = string
  description = "When it fires: minute, hour, day, month, day of the week."

  validation {
    condition     = length(split(" ", var.cron)) == 5
    error_message = "Write five fields, as '0 2 * * 0' for Sundays at 2."
  }
}

variable "timezone" {
  type        = string
  description = "Whose clock the cron reads, as 'Etc/UTC'."

  validation {
    condition     = can(regex("^[A-Z][A-Za-z]+/[A-Za-z_/+-]+[0-9]*$", var.timezone))
    error_message = "Write a name of the time zone database, as 'Etc/UTC'."
  }
}

variable "topic" {
  type        = string
  description = "The full name of the topic that it publishes on."
}

variable "data" {
  type        = any
  description = "What the event holds."
}

variable "paused" {
  type        = bool
  description = "Whether it is made paused. Afterwards it is the operators' to pause and resume."
}
