output "services" {
  description = "The services that are enabled."
  value       = keys(google_project_service.this)
}
