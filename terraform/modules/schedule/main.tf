resource "google_cloud_scheduler_job" "this" {
  project     = var.project_id
  region      = var.region
  name        = var.name
  description = var.purpose
  schedule    = var.cron
  time_zone   = var.timezone
  paused      = var.paused

  # The data alone, without attributes: the function that takes the topic makes an event of it.
  pubsub_target {
    topic_name = var.topic
    data       = base64encode(jsonencode(var.data))
  }

  retry_config {
    retry_count          = 5
    min_backoff_duration = "10s"
    max_backoff_duration = "300s"
  }

  lifecycle {
    # An operator pauses and resumes it while it runs, with 'mlengine schedules' or over HTTPS.
    ignore_changes = [paused]
  }
}
