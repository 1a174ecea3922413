variable "project_id" {
  type        = string
  description = "The project that the function is in."
}

variable "region" {
  type        = string
  description = "The region it runs in."
}

variable "name" {
  type        = string
  description = "The function's name, and that of its Cloud Run service."

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.name))
    error_message = "Write 1 to 63 small letters, digits and '-', beginning with a letter: '_' becomes '-'."
  }
}

variable "purpose" {
  type        = string
  description = "What it is for."
}

variable "runtime" {
  type        = string
  default     = "python311"
  description = "The runtime. python311: what the tests run on, and so the locked versions that they ran with."

  validation {
    condition     = contains(["python311", "python312", "python313"], var.runtime)
    error_message = "Write python311, python312 or python313: those that the locks are made for."
  }
}

variable "source_zip" {
  type        = string
  description = "The file of its bundle: main.py and requirements.txt at the root, shared/ beside them."

  validation {
    condition     = fileexists(var.source_zip)
    error_message = "There is no such bundle: make the bundles first, or set the folder that they are in."
  }
}

variable "source_bucket" {
  type        = string
  description = "The bucket that bundles are uploaded to."
}

variable "docker_repository" {
  type        = string
  description = "The repository for the image that is built of the bundle: projects/<project>/locations/<region>/repositories/<name>."
}

variable "build_service_account" {
  type        = string
  description = "The account that builds the image: projects/<project>/serviceAccounts/<email>."
}

variable "service_account_email" {
  type        = string
  description = "The account that it runs as."
}

variable "memory_mb" {
  type        = number
  description = "Memory of an instance, in MiB."

  validation {
    condition     = var.memory_mb >= 128 && var.memory_mb <= 32768
    error_message = "Give 128 to 32768 MiB."
  }
}

variable "cpu" {
  type        = number
  description = "CPUs of an instance."

  validation {
    condition     = contains([1, 2, 4, 6, 8], var.cpu) || (var.cpu >= 0.08 && var.cpu < 1)
    error_message = "Give 0.08 to 1, or 2, 4, 6 or 8."
  }
}

variable "concurrency" {
  type        = number
  description = "Requests that an instance takes at the same time."

  validation {
    condition     = var.concurrency >= 1 && var.concurrency <= 1000
    error_message = "Give 1 to 1000."
  }

  validation {
    condition     = var.cpu >= 1 || var.concurrency == 1
    error_message = "An instance with less than 1 CPU takes one request at a time: give it a whole CPU, or a concurrency of 1."
  }
}

variable "min_instances" {
  type        = number
  default     = 0
  description = "Instances that are kept warm, and paid for."

  validation {
    condition     = var.min_instances >= 0 && var.min_instances <= var.max_instances
    error_message = "Give 0, or up to the largest number of instances."
  }
}

variable "max_instances" {
  type        = number
  description = "The largest number of instances: what a flood can cost."

  validation {
    condition     = var.max_instances >= 1 && var.max_instances <= 1000
    error_message = "Give 1 to 1000: without a limit, a flood has none."
  }
}

variable "timeout_seconds" {
  type        = number
  description = "Seconds that a request may take."

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 3600
    error_message = "Give 1 to 3600 seconds."
  }

  validation {
    condition     = !var.takes_events || var.timeout_seconds <= 600
    error_message = "Pub/Sub waits for 600 seconds at most: what takes longer is a job."
  }
}

variable "takes_events" {
  type        = bool
  default     = false
  description = "Whether Pub/Sub pushes events to it."
}

variable "ingress" {
  type        = string
  default     = "ALLOW_ALL"
  description = "From where it can be reached; ALLOW_INTERNAL_ONLY lets Pub/Sub of the same project through."

  validation {
    condition     = contains(["ALLOW_ALL", "ALLOW_INTERNAL_ONLY", "ALLOW_INTERNAL_AND_GCLB"], var.ingress)
    error_message = "Write ALLOW_ALL, ALLOW_INTERNAL_ONLY or ALLOW_INTERNAL_AND_GCLB."
  }
}

variable "environment" {
  type        = map(string)
  default     = {}
  description = "Its settings, by the name of the variable."

  validation {
    condition     = alltrue([for name in keys(var.environment) : can(regex("^[A-Z][A-Z0-9_]*$", name)) && !startswith(name, "K_") && name != "PORT"])
    error_message = "Write names as 'LOG_LEVEL'; PORT and K_... are the platform's own."
  }
}

variable "secrets" {
  type        = map(string)
  default     = {}
  description = "Variable -> the secret whose newest version it holds, read when an instance starts."

  validation {
    condition     = length(setintersection(keys(var.secrets), keys(var.environment))) == 0
    error_message = "A variable is either a setting or a secret."
  }
}

variable "invokers" {
  type        = map(string)
  default     = {}
  description = "Who may call it: any key -> the member. 'allUsers' opens it to everybody; it then checks keys by itself."

  validation {
    condition     = !contains(values(var.invokers), "allAuthenticatedUsers")
    error_message = "allAuthenticatedUsers is everybody with a Google account: name members, or open it to allUsers knowingly."
  }
}
