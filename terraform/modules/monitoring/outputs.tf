output "email_channels" {
  description = "The channels that send email, by their ids."
  value       = [for channel in google_monitoring_notification_channel.email : channel.id]
}

output "policies" {
  description = "The titles of the alert policies that are in force."
  value = concat(
    [
      google_monitoring_alert_policy.dead_letters.display_name,
      google_monitoring_alert_policy.error_ratio.display_name,
      google_monitoring_alert_policy.failed_jobs.display_name,
      google_monitoring_alert_policy.failed_work.display_name,
      google_monitoring_alert_policy.refused_package.display_name,
    ],
    google_monitoring_alert_policy.slow_answers[*].display_name,
    google_monitoring_alert_policy.stale_candles[*].display_name,
    [google_monitoring_alert_policy.stuck_events.display_name],
  )
}

output "dashboard" {
  description = "The dashboard's id."
  value       = google_monitoring_dashboard.this.id
}
