output "table" {
  description = "The table of rows as they were delivered, as project.dataset.table."
  value       = local.table_name
}

output "view" {
  description = "The view that has every row once, as project.dataset.view."
  value       = "${var.project_id}.${local.table.dataset}.${local.table.view}"
}

output "subscription" {
  description = "The subscription's name."
  value       = google_pubsub_subscription.this.name
}
