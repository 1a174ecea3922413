variable "project_id" {
  type        = string
  description = "The project that everything is made in."
}

variable "region" {
  type        = string
  description = "Where the Cloud Run services are."
}

variable "name" {
  type        = string
  default     = "mlengine"
  description = "What the names of all resources begin with."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,29}$", var.name))
    error_message = "name must be 1 to 30 lower-case letters, digits and hyphens, beginning with a letter: write 'mlengine'."
  }
}

variable "domain" {
  type        = string
  description = "The domain of the certificate. Its A record has to point to the address in the outputs."

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", var.domain))
    error_message = "domain must be a bare domain in lower case: write 'engine.example.com', without scheme, port or path."
  }
}

variable "functions" {
  type = map(object({
    service = string
    routes  = list(string)
  }))
  description = <<-EOT
    Function -> its Cloud Run service, and its routes as the catalogue has them ('GET /models/{id}').
    Functions without routes take events only, and are left out of the load balancer.
  EOT

  validation {
    condition = alltrue(flatten([
      for function in values(var.functions) : [
        for route in function.routes : can(regex("^(GET|POST|PUT|DELETE) /([A-Za-z0-9._-]+|\\{\\w+\\}(:\\w+)?)?(/([A-Za-z0-9._-]+|\\{\\w+\\}(:\\w+)?))*$", route))
      ]
    ]))
    error_message = "A route is a method and a path whose parts are either fixed or one parameter: write 'GET /models/{id}/report'."
  }

  validation {
    condition = alltrue(flatten([
      for function in values(var.functions) : [
        for route in function.routes : length(regexall("\\{", route)) <= 5
      ]
    ]))
    error_message = "The URL map takes 5 parameters in a path: write a route with fewer."
  }

  validation {
    # Parameters that differ by their names alone are the same path.
    condition = length(flatten([
      for function in values(var.functions) : distinct([for route in function.routes : replace(split(" ", route)[1], "/\\{\\w+\\}[^/]*/", "*")])
      ])) == length(distinct(flatten([
        for function in values(var.functions) : [for route in function.routes : replace(split(" ", route)[1], "/\\{\\w+\\}[^/]*/", "*")]
    ])))
    error_message = "A path belongs to one function, whatever the method: list all its routes with one function."
  }
}

variable "default_function" {
  type        = string
  default     = "docs"
  description = "Takes every path that is nobody's: it answers 404 as all functions do."

  validation {
    condition     = contains(keys(var.functions), var.default_function)
    error_message = "default_function must be one of functions: write the name of one that is listed there."
  }
}

variable "api_prefix" {
  type        = string
  default     = "/api/v1"
  description = "Every route answers bare and below this prefix."

  validation {
    condition     = can(regex("^(/[a-z0-9]+)+$", var.api_prefix))
    error_message = "api_prefix must begin with a slash and end without one: write '/api/v1'."
  }
}

variable "rate_limit" {
  type = object({
    requests       = optional(number, 600)
    period_seconds = optional(number, 60)
  })
  default     = {}
  description = "How many requests one client address may send in a period. More are answered 429."

  validation {
    condition     = var.rate_limit.requests >= 1 && var.rate_limit.requests <= 1000000
    error_message = "rate_limit.requests must be from 1 to 1000000: write 600 for ten requests a second."
  }

  validation {
    condition     = contains([10, 30, 60, 120, 180, 240, 300, 600, 900, 1200, 1800, 2700, 3600], var.rate_limit.period_seconds)
    error_message = "Cloud Armor counts over 10, 30, 60, 120, 180, 240, 300, 600, 900, 1200, 1800, 2700 or 3600 seconds: write 60."
  }
}

variable "waf_rules" {
  type = map(object({
    sensitivity = optional(number, 1)
    exclude     = optional(list(string), [])
    preview     = optional(bool, false)
  }))
  default = {
    "cve-canary"                  = {}
    "lfi-v33-stable"              = {}
    "protocolattack-v33-stable"   = {}
    "rce-v33-stable"              = {}
    "scannerdetection-v33-stable" = {}
    "sqli-v33-stable"             = {}
    "xss-v33-stable"              = {}
  }
  nullable    = false
  description = <<-EOT
    Preconfigured rule sets -> how strict they are. sensitivity: 1 finds the plain attacks with few false
    alarms, 4 finds the most of both. exclude: ids of rules that don't fit. preview: log and let pass.
  EOT

  validation {
    condition     = alltrue([for rule in values(var.waf_rules) : contains([0, 1, 2, 3, 4], rule.sensitivity)])
    error_message = "sensitivity must be 0, 1, 2, 3 or 4: write 1 to begin with."
  }

  validation {
    condition     = alltrue([for set in keys(var.waf_rules) : can(regex("^[a-z0-9-]+$", set))])
    error_message = "A key of waf_rules is the name of a preconfigured rule set: write 'sqli-v33-stable'."
  }

  validation {
    condition = alltrue(flatten([
      for rule in values(var.waf_rules) : [for id in rule.exclude : can(regex("^[a-z0-9-]+$", id))]
    ]))
    error_message = "exclude lists rule ids: write 'owasp-crs-v030301-id942432-sqli'."
  }
}

variable "log_sample_rate" {
  type        = number
  default     = 0.1
  description = "The share of requests that the load balancer logs. Each function logs all of its own besides."

  validation {
    condition     = var.log_sample_rate >= 0 && var.log_sample_rate <= 1
    error_message = "log_sample_rate must be from 0 to 1: write 0.1 for every tenth request."
  }
}
