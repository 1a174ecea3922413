# What the functions' log lines say, as metrics. Each function writes one line per request (shared/logs.py).

locals {
  # Logging's own language, where a list of values is written with OR.
  logged_by_services = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(${join(" OR ", [for service in sort(values(var.services)) : jsonencode(service)])})"
  logged_by_jobs     = "resource.type=\"cloud_run_job\" AND resource.labels.job_name=(${join(" OR ", [for job in sort(var.jobs) : jsonencode(job)])})"

  counted = {
    requests = "${local.logged_by_services} AND jsonPayload.message=\"request\""
    lines    = "((${local.logged_by_services}) OR (${local.logged_by_jobs}))"
  }
}

resource "google_logging_metric" "this" {
  for_each = var.metrics

  project          = var.project_id
  name             = "${var.name}/${each.key}"
  description      = each.value.description
  filter           = join(" AND ", compact([local.counted[each.value.of], each.value.filter]))
  value_extractor  = each.value.value == null ? null : "EXTRACT(jsonPayload.${each.value.value})"
  label_extractors = { for label in each.value.labels : label => "EXTRACT(jsonPayload.${label})" }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = each.value.kind == "counter" ? "INT64" : "DISTRIBUTION"
    unit        = each.value.unit

    dynamic "labels" {
      for_each = toset(each.value.labels)

      content {
        key = labels.key
      }
    }
  }

  # So many that are bounded, each wider than the one before by the same factor.
  dynamic "bucket_options" {
    for_each = each.value.buckets == null ? [] : [each.value.buckets]

    content {
      exponential_buckets {
        num_finite_buckets = bucket_options.value.count
        growth_factor      = bucket_options.value.growth
        scale              = bucket_options.value.scale
      }
    }
  }
}

moved {
  from = google_logging_metric.counter
  to   = google_logging_metric.this
}

moved {
  from = google_logging_metric.latency
  to   = google_logging_metric.this["latency"]
}
