output "name" {
  description = "The schedule's name."
  value       = google_cloud_scheduler_job.this.name
}
