variable "project_id" {
  type        = string
  description = "The project whose services are enabled."
}

variable "services" {
  type        = set(string)
  description = "The services to enable, as 'run.googleapis.com'."

  validation {
    condition     = alltrue([for service in var.services : can(regex("^[a-z]+\\.googleapis\\.com$", service))])
    error_message = "Write a service's full name, as 'run.googleapis.com'."
  }
}
