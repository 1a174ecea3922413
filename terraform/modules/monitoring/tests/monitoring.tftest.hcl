mock_provider "google" {}

variables {
  project_id     = "some-project"
  project_number = "123456789012"
  services = {
    predict       = "mlengine-predict"
    batch_predict = "mlengine-batch-predict"
    deadletters   = "mlengine-deadletters"
  }
  jobs                     = ["mlengine-train"]
  subscriptions            = ["audit", "deadletters"]
  dead_letter_subscription = "deadletters"
  candles_due              = { topic = "candles.updated", first_day = 2, last_day = 6, from_hour = 1, before_hour = 24 }
  emails                   = ["oncall@example.com"]
  topic                    = "projects/some-project/topics/alerts.raised"
  metrics = {
    requests    = { description = "All.", kind = "counter", of = "requests", labels = ["function", "status"] }
    cold_starts = { description = "Cold.", kind = "counter", of = "requests", filter = "jsonPayload.cold_start=true", labels = ["function"] }
    errors      = { description = "Wrong.", kind = "counter", of = "lines", filter = "severity>=ERROR", labels = ["message"] }
    latency = {
      description = "How long.", kind = "distribution", of = "requests", labels = ["function"], value = "latency_ms", unit = "ms",
      buckets     = { count = 36, growth = 1.5, scale = 0.5 }
    }
  }
  runbook = {
    "Dead letters"    = "Look at the dead letters."
    "Error ratio"     = "Look at the errors."
    "Failed jobs"     = "Look at the jobs."
    "Failed work"     = "Look at the work."
    "Refused package" = "Look at the package."
    "Slow answers"    = "Look at the latency."
    "Stale candles"   = "Look at the upstream."
    "Stuck events"    = "Look at the backlog."
  }
}

run "everybody_is_told_by_all_policies" {
  assert {
    condition = alltrue([
      for policy in [
        google_monitoring_alert_policy.dead_letters, google_monitoring_alert_policy.error_ratio,
        google_monitoring_alert_policy.failed_jobs, google_monitoring_alert_policy.failed_work,
        google_monitoring_alert_policy.refused_package,
        google_monitoring_alert_policy.slow_answers[0], google_monitoring_alert_policy.stale_candles[0],
        google_monitoring_alert_policy.stuck_events,
        ] : policy.notification_channels == tolist([
          google_monitoring_notification_channel.email["oncall@example.com"].id,
          google_monitoring_notification_channel.topic[0].id,
      ])
    ])
    error_message = "Each policy must tell all channels."
  }

  assert {
    condition     = length(output.policies) == 8 && output.email_channels == [google_monitoring_notification_channel.email["oncall@example.com"].id]
    error_message = "The outputs must name the policies and the channels of email."
  }
}

run "the_runbook_goes_with_the_alert" {
  command = plan

  assert {
    condition = alltrue([
      for policy in [
        google_monitoring_alert_policy.dead_letters, google_monitoring_alert_policy.error_ratio,
        google_monitoring_alert_policy.failed_jobs, google_monitoring_alert_policy.failed_work,
        google_monitoring_alert_policy.refused_package,
        google_monitoring_alert_policy.slow_answers[0], google_monitoring_alert_policy.stale_candles[0],
        google_monitoring_alert_policy.stuck_events,
      ] : policy.documentation[0].content == var.runbook[policy.display_name]
    ])
    error_message = "Each policy must carry its own section."
  }
}

run "policies_watch_what_there_is" {
  command = plan

  assert {
    condition     = endswith(google_monitoring_alert_policy.error_ratio.conditions[0].condition_threshold[0].denominator_filter, "resource.labels.service_name=one_of(\"mlengine-batch-predict\",\"mlengine-deadletters\",\"mlengine-predict\")")
    error_message = "The ratio must be that of the engine's own services."
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.dead_letters.conditions[0].condition_threshold[0].filter, "one_of(\"audit\",\"deadletters\")")
    error_message = "Every subscription must be watched for dead letters."
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.dead_letters.conditions[1].condition_threshold[0].filter, "subscription_id=\"deadletters\"")
    error_message = "The dead letters' own backlog must be watched."
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.failed_jobs.conditions[0].condition_threshold[0].filter, "one_of(\"mlengine-train\")")
    error_message = "Every job must be watched."
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.slow_answers[0].conditions[0].condition_threshold[0].filter, "service_name=\"mlengine-predict\"")
    error_message = "A function's limit must be that of its service."
  }
}

run "candles_are_asked_for_when_they_must_have_come" {
  command = plan

  assert {
    condition     = endswith(google_monitoring_alert_policy.stale_candles[0].conditions[0].condition_prometheus_query_language[0].query, "[24h])) or vector(0)) < 1 and on() day_of_week() >= 2 and on() day_of_week() <= 6 and on() hour() >= 1 and on() hour() < 24")
    error_message = "No weekend may raise an alert."
  }
}

run "cloud_monitoring_may_publish_where_it_is_told_to" {
  command = plan

  assert {
    condition = (
      google_monitoring_notification_channel.topic[0].labels.topic == var.topic
      && google_pubsub_topic_iam_member.topic[0].topic == "alerts.raised"
      && google_pubsub_topic_iam_member.topic[0].role == "roles/pubsub.publisher"
      && google_pubsub_topic_iam_member.topic[0].member == "serviceAccount:service-123456789012@gcp-sa-monitoring-notification.iam.gserviceaccount.com"
    )
    error_message = "The channel's topic must take what Cloud Monitoring publishes."
  }
}

run "what_isnt_wanted_isnt_made" {
  command = plan

  variables {
    candles_due       = null
    latency_limits_ms = {}
    emails            = []
    topic             = null
  }

  assert {
    condition = (
      length(google_monitoring_alert_policy.stale_candles) == 0
      && length(google_monitoring_alert_policy.slow_answers) == 0
      && length(google_monitoring_notification_channel.topic) == 0
      && length(google_pubsub_topic_iam_member.topic) == 0
      && length(google_monitoring_alert_policy.error_ratio.notification_channels) == 0
    )
    error_message = "Without schedule, limits and channels there must be none of their policies."
  }
}

run "metrics_read_the_lines_of_the_engine" {
  command = plan

  assert {
    condition     = alltrue([for metric in google_logging_metric.this : alltrue([for label in metric.metric_descriptor[0].labels : contains(keys(metric.label_extractors), label.key)])])
    error_message = "Each label must be extracted."
  }

  assert {
    condition     = strcontains(google_logging_metric.this["latency"].filter, "service_name=(\"mlengine-batch-predict\" OR \"mlengine-deadletters\" OR \"mlengine-predict\")")
    error_message = "Other services of the project must not be counted."
  }

  assert {
    condition     = endswith(google_logging_metric.this["cold_starts"].filter, "jsonPayload.message=\"request\" AND jsonPayload.cold_start=true")
    error_message = "A filter of its own narrows the requests down."
  }

  assert {
    condition     = strcontains(google_logging_metric.this["errors"].filter, "job_name=(\"mlengine-train\")") && google_logging_metric.this["errors"].metric_descriptor[0].value_type == "INT64"
    error_message = "Lines are those of functions and jobs."
  }

  assert {
    condition = (
      google_logging_metric.this["latency"].metric_descriptor[0].value_type == "DISTRIBUTION"
      && google_logging_metric.this["latency"].metric_descriptor[0].unit == "ms"
      && google_logging_metric.this["latency"].value_extractor == "EXTRACT(jsonPayload.latency_ms)"
      && google_logging_metric.this["latency"].bucket_options[0].exponential_buckets[0].num_finite_buckets == 36
    )
    error_message = "A distribution is of a field, in buckets."
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.failed_work.conditions[0].condition_matched_log[0].filter, "job_name=(\"mlengine-train\")")
    error_message = "Other jobs of the project must not be counted."
  }
}

run "the_dashboard_shows_the_metrics" {
  command = plan

  assert {
    condition = alltrue([
      for metric in [for metric in google_logging_metric.this : metric.name] :
      strcontains(jsonencode([for tile in jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles : tile.widget.xyChart.dataSets[0].timeSeriesQuery.timeSeriesFilter.filter]), "logging.googleapis.com/user/${metric}\\\"")
    ])
    error_message = "A metric that nobody sees is paid for in vain."
  }
}

run "refuses_a_missing_section" {
  command = plan
  variables {
    runbook = { "Dead letters" = "Look at the dead letters." }
  }
  expect_failures = [var.runbook]
}

run "refuses_a_section_longer_than_a_policy_takes" {
  command = plan
  variables {
    runbook = {
      "Dead letters"    = format("%8193s", "x")
      "Error ratio"     = "Look at the errors."
      "Failed jobs"     = "Look at the jobs."
      "Failed work"     = "Look at the work."
      "Failed work"     = "Look at the work."
      "Refused package" = "Look at the package."
      "Slow answers"    = "Look at the latency."
      "Stale candles"   = "Look at the upstream."
      "Stuck events"    = "Look at the backlog."
    }
  }
  expect_failures = [var.runbook]
}

run "refuses_a_metric_of_nothing_known" {
  command = plan
  variables {
    metrics = {
      requests    = { description = "All.", kind = "counter", of = "answers", labels = [] }
      cold_starts = { description = "Cold.", kind = "counter", of = "requests", labels = [] }
      errors      = { description = "Wrong.", kind = "counter", of = "lines", labels = [] }
      latency     = { description = "How long.", kind = "counter", of = "requests", labels = [] }
    }
  }
  expect_failures = [var.metrics]
}

run "refuses_a_distribution_without_buckets" {
  command = plan
  variables {
    metrics = {
      requests    = { description = "All.", kind = "counter", of = "requests", labels = [] }
      cold_starts = { description = "Cold.", kind = "counter", of = "requests", labels = [] }
      errors      = { description = "Wrong.", kind = "counter", of = "lines", labels = [] }
      latency     = { description = "How long.", kind = "distribution", of = "requests", labels = [], value = "latency_ms" }
    }
  }
  expect_failures = [var.metrics]
}

run "refuses_a_metric_that_the_dashboard_lacks" {
  command = plan
  variables {
    metrics = {
      requests = { description = "All.", kind = "counter", of = "requests", labels = [] }
    }
  }
  # The dashboard, which names them, then fails too.
  expect_failures = [var.metrics]
}

run "refuses_an_id_for_a_number" {
  command = plan
  variables {
    project_number = "some-project"
  }
  expect_failures = [var.project_number]
}

run "refuses_a_name_with_capitals" {
  command = plan
  variables {
    name = "MLEngine"
  }
  expect_failures = [var.name]
}

run "refuses_a_full_name_for_a_service" {
  command = plan
  variables {
    services          = { predict = "projects/some-project/services/mlengine-predict" }
    latency_limits_ms = {}
  }
  expect_failures = [var.services]
}

run "refuses_no_jobs" {
  command = plan
  variables {
    jobs = []
  }
  expect_failures = [var.jobs]
}

run "refuses_a_full_name_for_a_subscription" {
  command = plan
  variables {
    subscriptions = ["deadletters", "projects/some-project/subscriptions/audit"]
  }
  expect_failures = [var.subscriptions]
}

run "refuses_a_dead_letter_subscription_that_isnt_there" {
  command = plan
  variables {
    dead_letter_subscription = "nobody"
  }
  expect_failures = [var.dead_letter_subscription]
}

run "refuses_days_in_the_wrong_order" {
  command = plan
  variables {
    candles_due = { topic = "candles.updated", first_day = 6, last_day = 2, from_hour = 1, before_hour = 24 }
  }
  expect_failures = [var.candles_due]
}

run "refuses_hours_in_the_wrong_order" {
  command = plan
  variables {
    candles_due = { topic = "candles.updated", first_day = 2, last_day = 6, from_hour = 22, before_hour = 1 }
  }
  expect_failures = [var.candles_due]
}

run "refuses_percents_for_a_share" {
  command = plan
  variables {
    error_ratio = { share = 5 }
  }
  expect_failures = [var.error_ratio]
}

run "refuses_to_wait_for_no_errors" {
  command = plan
  variables {
    error_ratio = { errors = 0 }
  }
  expect_failures = [var.error_ratio]
}

run "refuses_a_limit_of_nothing" {
  command = plan
  variables {
    latency_limits_ms = { predict = 0 }
  }
  expect_failures = [var.latency_limits_ms]
}

run "refuses_a_limit_for_nobody" {
  command = plan
  variables {
    latency_limits_ms = { nobody = 100 }
  }
  expect_failures = [var.latency_limits_ms]
}

run "refuses_to_call_a_retry_stuck" {
  command = plan
  variables {
    stuck_minutes = 1
  }
  expect_failures = [var.stuck_minutes]
}

run "refuses_a_name_for_an_address" {
  command = plan
  variables {
    emails = ["oncall"]
  }
  expect_failures = [var.emails]
}

run "refuses_a_bare_topic" {
  command = plan
  variables {
    topic = "alerts.raised"
  }
  expect_failures = [var.topic]
}
