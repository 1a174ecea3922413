variable "project_id" {
  type        = string
  description = "The project that everything is made in."
}

variable "project_number" {
  type        = string
  description = "The project's number: it is in the name of Cloud Monitoring's own account, which publishes alerts."

  validation {
    condition     = can(regex("^[0-9]+$", var.project_number))
    error_message = "project_number must be digits: write the number that 'gcloud projects describe' shows, not the id."
  }
}

variable "name" {
  type        = string
  default     = "mlengine"
  description = "What the names of the metrics begin with."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,29}$", var.name))
    error_message = "name must be 1 to 30 lower-case letters, digits and hyphens, beginning with a letter: write 'mlengine'."
  }
}

variable "metrics" {
  type = map(object({
    description = string
    kind        = string
    of          = string
    filter      = optional(string)
    labels      = list(string)
    value       = optional(string)
    unit        = optional(string, "1")
    buckets     = optional(object({ count = number, growth = number, scale = number }))
  }))
  description = <<-EOT
    Name -> what is counted in the log, as infra/metrics.yaml lists it: `of` is "requests" or "lines", `filter` narrows
    them down, `labels` are fields. A distribution is of the field `value`, in buckets.
  EOT

  validation {
    condition     = alltrue([for metric in values(var.metrics) : contains(["requests", "lines"], metric.of)])
    error_message = "A metric is of \"requests\" or of \"lines\"."
  }

  validation {
    condition     = alltrue([for metric in values(var.metrics) : metric.kind == "counter" || metric.kind == "distribution" && metric.value != null && metric.buckets != null])
    error_message = "A metric is a \"counter\", or a \"distribution\" with its value and its buckets."
  }

  validation {
    condition     = length(setsubtract(["requests", "cold_starts", "errors", "latency"], keys(var.metrics))) == 0
    error_message = "The dashboard shows requests, cold_starts, errors and latency: leave none of them out."
  }
}

variable "services" {
  type        = map(string)
  description = "Function -> its Cloud Run service."

  validation {
    condition     = length(var.services) > 0 && alltrue([for service in values(var.services) : can(regex("^[a-z][a-z0-9-]*$", service))])
    error_message = "services must name at least one Cloud Run service by its bare name: write { predict = \"mlengine-predict\" }."
  }
}

variable "jobs" {
  type        = set(string)
  description = "The Cloud Run jobs."

  validation {
    condition     = length(var.jobs) > 0 && alltrue([for job in var.jobs : can(regex("^[a-z][a-z0-9-]*$", job))])
    error_message = "jobs must name at least one Cloud Run job by its bare name: write [\"mlengine-train\"]."
  }
}

variable "subscriptions" {
  type        = set(string)
  description = "The subscriptions whose backlog and dead letters are watched: all there are."

  validation {
    condition     = length(var.subscriptions) > 0 && alltrue([for subscription in var.subscriptions : can(regex("^[a-zA-Z][a-zA-Z0-9._~+%-]*$", subscription))])
    error_message = "subscriptions must name at least one subscription by its bare name: write [\"audit\"]."
  }
}

variable "dead_letter_subscription" {
  type        = string
  description = "The subscription that takes the dead letters of all others."

  validation {
    condition     = contains(var.subscriptions, var.dead_letter_subscription)
    error_message = "dead_letter_subscription must be one of subscriptions: write 'deadletters', and list it there too."
  }
}

variable "candles_due" {
  type = object({
    topic       = string
    first_day   = number
    last_day    = number
    from_hour   = number
    before_hour = number
  })
  default     = null
  description = <<-EOT
    When candles must have come: between these hours (UTC) of these days of the week (0 is Sunday), something must
    have been published on the topic within the last 24 hours. null where nobody ingests on a schedule.
  EOT

  validation {
    condition     = var.candles_due == null ? true : 0 <= var.candles_due.first_day && var.candles_due.first_day <= var.candles_due.last_day && var.candles_due.last_day <= 6
    error_message = "candles_due must have days from 0 (Sunday) to 6 in order: write first_day = 2 and last_day = 6 for Tuesday to Saturday."
  }

  validation {
    condition     = var.candles_due == null ? true : 0 <= var.candles_due.from_hour && var.candles_due.from_hour < var.candles_due.before_hour && var.candles_due.before_hour <= 24
    error_message = "candles_due must have hours from 0 to 24 in order: write from_hour = 1 and before_hour = 24 for all but the first hour."
  }
}

variable "error_ratio" {
  type = object({
    share  = optional(number, 0.05)
    errors = optional(number, 5)
  })
  default     = {}
  description = "When too many requests fail: this share of a function's, and at least so many within ten minutes."

  validation {
    condition     = var.error_ratio.share > 0 && var.error_ratio.share < 1
    error_message = "error_ratio.share must be between 0 and 1: write 0.05 for five percent."
  }

  validation {
    condition     = var.error_ratio.errors >= 1
    error_message = "error_ratio.errors must be at least 1: write 5."
  }
}

variable "latency_limits_ms" {
  type        = map(number)
  default     = { predict = 1500 }
  description = "Function -> the milliseconds that 95 of 100 requests must stay below, cold starts included. Each is a condition of its own."

  validation {
    condition     = length(var.latency_limits_ms) <= 6 && alltrue([for limit in values(var.latency_limits_ms) : limit > 0])
    error_message = "latency_limits_ms takes 6 functions with limits above 0: write { predict = 1500 }."
  }

  validation {
    condition     = length(setsubtract(keys(var.latency_limits_ms), keys(var.services))) == 0
    error_message = "latency_limits_ms has a function that isn't one of services: write a name that is listed there."
  }
}

variable "stuck_minutes" {
  type        = number
  default     = 60
  description = "How long an event may wait for its function."

  validation {
    condition     = var.stuck_minutes >= 10
    error_message = "stuck_minutes must be at least 10, the longest pause between two attempts: write 60."
  }
}

variable "runbook" {
  type        = map(string)
  description = "Title of a policy -> what the one who is told should know and do, as Markdown."

  validation {
    condition     = length(setsubtract(local.titles, keys(var.runbook))) == 0
    error_message = "The runbook has no section for ${join(", ", setsubtract(local.titles, keys(var.runbook)))}: write one, under a heading that is the title."
  }

  validation {
    condition     = alltrue([for text in values(var.runbook) : length(text) <= 8192])
    error_message = "A policy takes 8192 characters of documentation: write a shorter section."
  }
}

variable "emails" {
  type        = set(string)
  default     = []
  description = "Who gets the alerts by email."

  validation {
    condition     = alltrue([for email in var.emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", email))])
    error_message = "emails must be addresses: write [\"oncall@example.com\"]."
  }
}

variable "topic" {
  type        = string
  default     = null
  description = "The topic that gets the alerts too, by its full id. null for none."

  validation {
    condition     = var.topic == null ? true : can(regex("^projects/[^/]+/topics/[^/]+$", var.topic))
    error_message = "topic must be a full id: write 'projects/<project>/topics/alerts.raised'."
  }
}
