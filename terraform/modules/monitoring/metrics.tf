# What the functions' log lines say, as metrics. Each function writes one line per request (shared/logs.py).

locals {
  # Logging's own language, where a list of values is written with OR.
  logged_by_services = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(${join(" OR ", [for service in sort(values(var.services)) : jsonencode(service)])})"
  logged_by_jobs     = "resource.type=\"cloud_run_job\" AND resource.labels.job_name=(${join(" OR ", [for job in sort(var.jobs) : jsonencode(job)])})"
  logged_requests    = "${local.logged_by_services} AND jsonPayload.message=\"request\""

  metrics = {
    requests = {
      description = "Requests and delivered events, by function, route and status."
      filter      = local.logged_requests
      labels = {
        function = "EXTRACT(jsonPayload.function)"
        route    = "EXTRACT(jsonPayload.route)"
        status   = "EXTRACT(jsonPayload.status)"
      }
    }
    cold_starts = {
      description = "Requests that waited for their instance to start, by function."
      filter      = "${local.logged_requests} AND jsonPayload.cold_start=true"
      labels      = { function = "EXTRACT(jsonPayload.function)" }
    }
    errors = {
      description = "Log lines that say that something is wrong, by what they say."
      filter      = "((${local.logged_by_services}) OR (${local.logged_by_jobs})) AND severity>=ERROR AND jsonPayload.message:*"
      labels      = { message = "EXTRACT(jsonPayload.message)" }
    }
  }
}

resource "google_logging_metric" "counter" {
  for_each = local.metrics

  project          = var.project_id
  name             = "${var.name}/${each.key}"
  description      = each.value.description
  filter           = each.value.filter
  label_extractors = each.value.labels

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    dynamic "labels" {
      for_each = each.value.labels

      content {
        key = labels.key
      }
    }
  }
}

resource "google_logging_metric" "latency" {
  project         = var.project_id
  name            = "${var.name}/latency"
  description     = "Milliseconds from a request's arrival in the function to its answer, by function and route."
  filter          = local.logged_requests
  value_extractor = "EXTRACT(jsonPayload.latency_ms)"

  label_extractors = {
    function = "EXTRACT(jsonPayload.function)"
    route    = "EXTRACT(jsonPayload.route)"
  }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = "ms"

    labels {
      key = "function"
    }

    labels {
      key = "route"
    }
  }

  # From half a millisecond to 20 minutes, each bucket half as wide again as the one before.
  bucket_options {
    exponential_buckets {
      num_finite_buckets = 36
      growth_factor      = 1.5
      scale              = 0.5
    }
  }
}
