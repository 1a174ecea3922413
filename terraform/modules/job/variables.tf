variable "project_id" {
  type        = string
  description = "The project that the job is in."
}

variable "region" {
  type        = string
  description = "The region it runs in."
}

variable "name" {
  type        = string
  description = "The job's name: the prefix, and the engine's name for it with '-' for '_'."

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.name))
    error_message = "Write 1 to 63 small letters, digits and '-', beginning with a letter: '_' becomes '-'."
  }
}

variable "module" {
  type        = string
  description = "The Python module that is run, as 'shared.jobs.train'."

  validation {
    condition     = can(regex("^shared\\.jobs\\.[a-z][a-z0-9_]*$", var.module))
    error_message = "Name a module of shared.jobs, as 'shared.jobs.train'."
  }
}

variable "image" {
  type        = string
  description = "The image, by its digest: <region>-docker.pkg.dev/<project>/<repository>/<image>@sha256:..."

  validation {
    condition     = can(regex("^[a-z0-9.-]+(/[a-z0-9._-]+)+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "Name the image by its digest ('...@sha256:' and 64 hex digits): a tag may mean another image tomorrow."
  }
}

variable "service_account_email" {
  type        = string
  description = "The account that its tasks run as."
}

variable "memory_mb" {
  type        = number
  description = "Memory of a task, in MiB."

  validation {
    condition     = var.memory_mb >= 512 && var.memory_mb <= 32768
    error_message = "Give 512 to 32768 MiB."
  }
}

variable "cpu" {
  type        = number
  description = "CPUs of a task."

  validation {
    condition     = contains([1, 2, 4, 6, 8], var.cpu)
    error_message = "Give 1, 2, 4, 6 or 8."
  }
}

variable "retries" {
  type        = number
  description = "How often a task that fails is tried again."

  validation {
    condition     = var.retries >= 0 && var.retries <= 10
    error_message = "Give 0 to 10."
  }
}

variable "timeout_seconds" {
  type        = number
  description = "Seconds that one attempt of a task may take."

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 604800
    error_message = "Give 1 second to 7 days (604800)."
  }
}

variable "environment" {
  type        = map(string)
  default     = {}
  description = "Its settings, by the name of the variable."
}

variable "secrets" {
  type        = map(string)
  default     = {}
  description = "Variable -> the secret whose newest version it holds."

  validation {
    condition     = length(setintersection(keys(var.secrets), keys(var.environment))) == 0
    error_message = "A variable is either a setting or a secret."
  }
}

variable "starters" {
  type        = map(string)
  default     = {}
  description = "Who may start, watch and cancel its executions: any key -> the member."

  validation {
    condition     = alltrue([for member in var.starters : startswith(member, "serviceAccount:")])
    error_message = "Name service accounts, as 'serviceAccount:...': people ask the function that starts it."
  }
}

variable "starter_role" {
  type        = string
  description = "The role that allows that."
}

variable "deletion_protection" {
  type        = bool
  description = "Whether Terraform refuses to delete the job."
}
