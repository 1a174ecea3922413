# Whom to tell, and what of: the policies are in policies.tf, the dashboard in dashboard.tf.

locals {
  # Each is the title of a section in the runbook.
  titles = toset([
    "Dead letters",
    "Error ratio",
    "Failed jobs",
    "Failed work",
    "Refused package",
    "Slow answers",
    "Stale candles",
    "Stuck events",
  ])

  # Each condition is paid for, so there is one for all services, not one for each.
  of_services      = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=one_of(${local.service_names})"
  of_jobs          = "resource.type=\"cloud_run_job\" AND resource.labels.job_name=one_of(${local.job_names})"
  of_subscriptions = "resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=one_of(${local.subscription_names})"

  service_names      = join(",", [for service in sort(values(var.services)) : jsonencode(service)])
  job_names          = join(",", [for job in sort(var.jobs) : jsonencode(job)])
  subscription_names = join(",", [for subscription in sort(var.subscriptions) : jsonencode(subscription)])

  channels = concat(
    [for channel in google_monitoring_notification_channel.email : channel.id],
    [for channel in google_monitoring_notification_channel.topic : channel.id],
  )
}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.emails

  project      = var.project_id
  type         = "email"
  display_name = each.value

  labels = {
    email_address = each.value
  }
}

resource "google_monitoring_notification_channel" "topic" {
  count = var.topic == null ? 0 : 1

  project      = var.project_id
  type         = "pubsub"
  display_name = "Topic ${basename(var.topic)}"

  labels = {
    topic = var.topic
  }
}

# Cloud Monitoring's own account comes into being with the first channel that publishes.
resource "google_pubsub_topic_iam_member" "topic" {
  count = var.topic == null ? 0 : 1

  project = var.project_id
  topic   = basename(var.topic)
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:service-${var.project_number}@gcp-sa-monitoring-notification.iam.gserviceaccount.com"

  depends_on = [google_monitoring_notification_channel.topic]
}
