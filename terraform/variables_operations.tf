# What is around the engine: its front door, its warehouse, who is told of what, and what it may cost.

variable "domain" {
  type        = string
  default     = null
  description = "The domain of the load balancer. Null: none is made, and each function is called at its own address."

  validation {
    condition     = var.domain == null || contains(["", "ALLOW_INTERNAL_AND_GCLB"], var.ingress == null ? "" : var.ingress)
    error_message = "Behind a load balancer, ingress is ALLOW_INTERNAL_AND_GCLB: it must reach the functions, and whoever walks around it could name any address as their own. Leave it out."
  }
}

variable "rate_limit" {
  type = object({
    requests       = optional(number, 600)
    period_seconds = optional(number, 60)
  })
  default     = {}
  description = "How many requests one client address may send to the load balancer in a period."
}

variable "waf_rules" {
  type = map(object({
    sensitivity = optional(number, 1)
    exclude     = optional(list(string), [])
    preview     = optional(bool, false)
  }))
  default     = null
  description = "Cloud Armor's rule sets -> how strict they are, and which of their rules to leave out. Null: those of the module."
}

variable "prediction_expiry_days" {
  type        = number
  default     = null
  description = "Days that predictions stay in the warehouse. Null: for ever."
}

variable "warehouse_readers" {
  type        = set(string)
  default     = []
  description = "Who may ask questions of the warehouse, as 'group:analysts@example.com'."
}

variable "alert_emails" {
  type        = set(string)
  default     = []
  description = "Who gets alerts by email."
}

variable "alerts_on_topic" {
  type        = bool
  default     = true
  description = "Whether Cloud Monitoring's alerts go to the topic alerts.raised too, beside those of the engine."
}

variable "error_ratio" {
  type = object({
    share  = optional(number, 0.05)
    errors = optional(number, 5)
  })
  default     = {}
  description = "When too many requests fail: this share of a function's, and at least so many in ten minutes."
}

variable "latency_limits_ms" {
  type        = map(number)
  default     = { predict = 1500 }
  description = "Function -> the milliseconds that 95 of 100 requests must stay below, cold starts included."
}

variable "billing_account" {
  type        = string
  default     = null
  description = "The billing account that a budget is made in. Null: no budget."
}

variable "monthly_budget" {
  type        = number
  default     = 20
  description = "What a month may cost before people are told, in whole units of the billing account's currency."
}
