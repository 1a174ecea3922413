variable "billing_account" {
  type        = string
  description = "The billing account that pays for the project."

  validation {
    condition     = can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "billing_account must be an id: write '012345-6789AB-CDEF01', as 'gcloud billing accounts list' shows it."
  }
}

variable "project_id" {
  type        = string
  description = "The project that is named in the budget."
}

variable "project_number" {
  type        = string
  description = "The project whose cost is watched, by its number."

  validation {
    condition     = can(regex("^[0-9]+$", var.project_number))
    error_message = "project_number must be digits: write the number that 'gcloud projects describe' shows, not the id."
  }
}

variable "monthly_amount" {
  type        = number
  description = "What a month may cost, in whole units of the billing account's currency."

  validation {
    condition     = var.monthly_amount >= 1 && floor(var.monthly_amount) == var.monthly_amount
    error_message = "monthly_amount must be a whole number of at least 1: write 20."
  }
}

variable "thresholds" {
  type        = set(number)
  default     = [0.5, 0.9, 1.0]
  description = "The shares of the amount at which people are told."

  validation {
    condition     = length(var.thresholds) > 0 && alltrue([for share in var.thresholds : share > 0 && share <= 10])
    error_message = "thresholds must be shares above 0: write [0.5, 0.9, 1.0]."
  }
}

variable "notification_channels" {
  type        = list(string)
  default     = []
  description = "Who is told, besides those who manage the billing account: at most five channels, all of them email."

  validation {
    condition     = length(var.notification_channels) <= 5
    error_message = "A budget tells at most 5 channels: leave some out, or put the people behind a group's address."
  }
}
