# One page that says how the engine is. Three charts a row.

locals {
  logged = "resource.type=\"cloud_run_revision\""

  charts = [
    {
      title  = "Requests, by function"
      unit   = "per second"
      filter = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.this["requests"].name}\" AND ${local.logged}"
      align  = "ALIGN_RATE", reduce = "REDUCE_SUM", by = ["metric.label.function"]
    },
    {
      title  = "Failed requests, by service"
      unit   = "per second"
      filter = "metric.type=\"run.googleapis.com/request_count\" AND ${local.of_services} AND metric.labels.response_code_class=\"5xx\""
      align  = "ALIGN_RATE", reduce = "REDUCE_SUM", by = ["resource.label.service_name"]
    },
    {
      title  = "Latency in the function, 95th percentile"
      unit   = "ms"
      filter = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.this["latency"].name}\" AND ${local.logged}"
      align  = "ALIGN_DELTA", reduce = "REDUCE_PERCENTILE_95", by = ["metric.label.function"]
    },
    {
      title  = "Latency with the start of the instance, 95th percentile"
      unit   = "ms"
      filter = "metric.type=\"run.googleapis.com/request_latencies\" AND ${local.of_services}"
      align  = "ALIGN_DELTA", reduce = "REDUCE_PERCENTILE_95", by = ["resource.label.service_name"]
    },
    {
      title  = "Requests that met a cold start"
      unit   = "per minute"
      filter = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.this["cold_starts"].name}\" AND ${local.logged}"
      align  = "ALIGN_DELTA", reduce = "REDUCE_SUM", by = ["metric.label.function"]
    },
    {
      title  = "Instance start, 95th percentile"
      unit   = "ms"
      filter = "metric.type=\"run.googleapis.com/container/startup_latencies\" AND ${local.of_services}"
      align  = "ALIGN_DELTA", reduce = "REDUCE_PERCENTILE_95", by = ["resource.label.service_name"]
    },
    {
      title  = "Events that wait, by subscription"
      unit   = "events"
      filter = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND ${local.of_subscriptions}"
      align  = "ALIGN_MAX", reduce = "REDUCE_MAX", by = ["resource.label.subscription_id"]
    },
    {
      title  = "Events given up, by subscription"
      unit   = "per minute"
      filter = "metric.type=\"pubsub.googleapis.com/subscription/dead_letter_message_count\" AND ${local.of_subscriptions}"
      align  = "ALIGN_DELTA", reduce = "REDUCE_SUM", by = ["resource.label.subscription_id"]
    },
    {
      title  = "Job executions, by result"
      unit   = "per minute"
      filter = "metric.type=\"run.googleapis.com/job/completed_execution_count\" AND ${local.of_jobs}"
      align  = "ALIGN_DELTA", reduce = "REDUCE_SUM", by = ["resource.label.job_name", "metric.label.result"]
    },
    {
      title  = "Errors logged, by what they say"
      unit   = "per minute"
      filter = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.this["errors"].name}\""
      align  = "ALIGN_DELTA", reduce = "REDUCE_SUM", by = ["metric.label.message"]
    },
    {
      title  = "Instance time that is paid for"
      unit   = "seconds per second"
      filter = "metric.type=\"run.googleapis.com/container/billable_instance_time\" AND ${local.of_services}"
      align  = "ALIGN_RATE", reduce = "REDUCE_SUM", by = ["resource.label.service_name"]
    },
    {
      title  = "Firestore writes"
      unit   = "per second"
      filter = "metric.type=\"firestore.googleapis.com/document/write_count\" AND resource.type=\"firestore_instance\""
      align  = "ALIGN_RATE", reduce = "REDUCE_SUM", by = ["metric.label.op"]
    },
  ]

  tiles = [
    for index, chart in local.charts : {
      xPos   = index % 3 * 16
      yPos   = floor(index / 3) * 14
      width  = 16
      height = 14
      widget = {
        title = chart.title
        xyChart = {
          dataSets = [{
            plotType   = "LINE"
            targetAxis = "Y1"
            timeSeriesQuery = {
              timeSeriesFilter = {
                filter = chart.filter
                aggregation = {
                  alignmentPeriod    = "60s"
                  perSeriesAligner   = chart.align
                  crossSeriesReducer = chart.reduce
                  groupByFields      = chart.by
                }
              }
            }
          }]
          yAxis = { label = chart.unit, scale = "LINEAR" }
        }
      }
    }
  ]
}

resource "google_monitoring_dashboard" "this" {
  project = var.project_id

  dashboard_json = jsonencode({
    displayName  = "ML Engine"
    mosaicLayout = { columns = 48, tiles = local.tiles }
  })
}
