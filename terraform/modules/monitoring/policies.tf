# When people are told. A policy's title is that of its section in the runbook, and the section goes with it.

locals {
  rolling_period = "600s"
  day            = "86400s"

  # The exit code by which a task asks for another attempt (shared/jobs/task.py).
  try_again = 75
}

resource "google_monitoring_alert_policy" "error_ratio" {
  project               = var.project_id
  display_name          = "Error ratio"
  combiner              = "AND_WITH_MATCHING_RESOURCE"
  severity              = "ERROR"
  notification_channels = local.channels

  conditions {
    display_name = "More than ${var.error_ratio.share * 100} % of a function's requests fail"

    condition_threshold {
      filter             = "metric.type=\"run.googleapis.com/request_count\" AND ${local.of_services} AND metric.labels.response_code_class=\"5xx\""
      denominator_filter = "metric.type=\"run.googleapis.com/request_count\" AND ${local.of_services}"
      comparison         = "COMPARISON_GT"
      threshold_value    = var.error_ratio.share
      duration           = "0s"

      aggregations {
        alignment_period     = local.rolling_period
        per_series_aligner   = "ALIGN_RATE"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.label.service_name"]
      }

      denominator_aggregations {
        alignment_period     = local.rolling_period
        per_series_aligner   = "ALIGN_RATE"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.label.service_name"]
      }
    }
  }

  # Where two come an hour, one that fails is no reason to wake anybody.
  conditions {
    display_name = "At least ${var.error_ratio.errors} of a function's requests fail"

    condition_threshold {
      filter          = "metric.type=\"run.googleapis.com/request_count\" AND ${local.of_services} AND metric.labels.response_code_class=\"5xx\""
      comparison      = "COMPARISON_GT"
      threshold_value = var.error_ratio.errors - 1
      duration        = "0s"

      aggregations {
        alignment_period     = local.rolling_period
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.label.service_name"]
      }
    }
  }

  documentation {
    content   = var.runbook["Error ratio"]
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close = local.day
  }
}

resource "google_monitoring_alert_policy" "slow_answers" {
  count = length(var.latency_limits_ms) > 0 ? 1 : 0

  project               = var.project_id
  display_name          = "Slow answers"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = local.channels

  dynamic "conditions" {
    for_each = var.latency_limits_ms

    content {
      display_name = "5 % of the requests of ${conditions.key} take more than ${conditions.value} ms"

      condition_threshold {
        filter                  = "metric.type=\"run.googleapis.com/request_latencies\" AND resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.services[conditions.key]}\""
        comparison              = "COMPARISON_GT"
        threshold_value         = conditions.value
        duration                = local.rolling_period
        evaluation_missing_data = "EVALUATION_MISSING_DATA_INACTIVE"

        aggregations {
          alignment_period     = "300s"
          per_series_aligner   = "ALIGN_DELTA"
          cross_series_reducer = "REDUCE_PERCENTILE_95"
          group_by_fields      = ["resource.label.service_name"]
        }
      }
    }
  }

  documentation {
    content   = var.runbook["Slow answers"]
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close = local.day
  }
}

resource "google_monitoring_alert_policy" "dead_letters" {
  project               = var.project_id
  display_name          = "Dead letters"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.channels

  conditions {
    display_name = "An event was given up"

    condition_threshold {
      filter          = "metric.type=\"pubsub.googleapis.com/subscription/dead_letter_message_count\" AND ${local.of_subscriptions}"
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.label.subscription_id"]
      }
    }
  }

  conditions {
    display_name = "Dead letters wait to be kept"

    condition_threshold {
      filter                  = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${var.dead_letter_subscription}\""
      comparison              = "COMPARISON_GT"
      threshold_value         = 0
      duration                = "900s"
      evaluation_missing_data = "EVALUATION_MISSING_DATA_INACTIVE"

      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_MIN"
      }
    }
  }

  documentation {
    content   = var.runbook["Dead letters"]
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close = local.day
  }
}

resource "google_monitoring_alert_policy" "stuck_events" {
  project               = var.project_id
  display_name          = "Stuck events"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.channels

  conditions {
    display_name = "An event waits for more than ${var.stuck_minutes} minutes"

    condition_threshold {
      filter                  = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND ${local.of_subscriptions}"
      comparison              = "COMPARISON_GT"
      threshold_value         = var.stuck_minutes * 60
      duration                = "300s"
      evaluation_missing_data = "EVALUATION_MISSING_DATA_INACTIVE"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_MAX"
        cross_series_reducer = "REDUCE_MAX"
        group_by_fields      = ["resource.label.subscription_id"]
      }
    }
  }

  documentation {
    content   = var.runbook["Stuck events"]
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close = local.day
  }
}

# Candles come once a day and not at weekends: "nothing for a while" alone would cry every Sunday. So it is
# asked only when those of a session must have come, until the next ones are due.
resource "google_monitoring_alert_policy" "stale_candles" {
  count = var.candles_due == null ? 0 : 1

  project               = var.project_id
  display_name          = "Stale candles"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = local.channels

  conditions {
    display_name = "No candles came with the last session"

    condition_prometheus_query_language {
      query = join(" ", [
        "(sum(increase(pubsub_googleapis_com:topic_send_message_operation_count{monitored_resource=\"pubsub_topic\",topic_id=\"${var.candles_due.topic}\"}[24h])) or vector(0)) < 1",
        "and on() day_of_week() >= ${var.candles_due.first_day}",
        "and on() day_of_week() <= ${var.candles_due.last_day}",
        "and on() hour() >= ${var.candles_due.from_hour}",
        "and on() hour() < ${var.candles_due.before_hour}",
      ])
      duration            = "1800s"
      evaluation_interval = "300s"
      # The metric is there from the first event on.
      disable_metric_validation = true
    }
  }

  documentation {
    content   = var.runbook["Stale candles"]
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close = local.day
  }
}

resource "google_monitoring_alert_policy" "failed_jobs" {
  project               = var.project_id
  display_name          = "Failed jobs"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.channels

  conditions {
    display_name = "An execution failed after its last attempt"

    condition_threshold {
      filter          = "metric.type=\"run.googleapis.com/job/completed_execution_count\" AND ${local.of_jobs} AND metric.labels.result=\"failed\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.label.job_name"]
      }
    }
  }

  documentation {
    content   = var.runbook["Failed jobs"]
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close = local.day
  }
}

# A job that has recorded its failure has ended well for Cloud Run, which would else start it again. What is
# to be tried again isn't told: if no attempt succeeds, the execution fails.
resource "google_monitoring_alert_policy" "failed_work" {
  project               = var.project_id
  display_name          = "Failed work"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.channels

  conditions {
    display_name = "A job recorded that its work failed"

    condition_matched_log {
      filter = join(" ", [
        "${local.logged_by_jobs} AND ((jsonPayload.message=\"training ended\" AND jsonPayload.status=\"failed\")",
        "OR (jsonPayload.message=\"scoring task leaves\" AND jsonPayload.scoring=\"failed\")",
        "OR (jsonPayload.message=\"ingest failed\" AND jsonPayload.exit!=${local.try_again}))",
      ])

      label_extractors = {
        job  = "EXTRACT(resource.labels.job_name)"
        what = "EXTRACT(jsonPayload.message)"
      }
    }
  }

  documentation {
    content   = var.runbook["Failed work"]
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close = local.day

    notification_rate_limit {
      period = "3600s"
    }
  }
}

# A package whose bytes differ from its manifest is a broken store or an attack: one line is enough.
resource "google_monitoring_alert_policy" "refused_package" {
  project               = var.project_id
  display_name          = "Refused package"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = local.channels

  conditions {
    display_name = "A model package was refused"

    condition_matched_log {
      filter = "((${local.logged_by_services}) OR (${local.logged_by_jobs})) AND jsonPayload.message=\"package refused\""

      label_extractors = {
        model_id = "EXTRACT(jsonPayload.model_id)"
      }
    }
  }

  documentation {
    content   = var.runbook["Refused package"]
    mime_type = "text/markdown"
  }

  # Each instance refuses it anew, and says so.
  alert_strategy {
    auto_close = local.day

    notification_rate_limit {
      period = "3600s"
    }
  }
}
