output "name" {
  description = "The function's name, and that of its Cloud Run service."
  value       = google_cloudfunctions2_function.this.name
}

output "uri" {
  description = "The address of its Cloud Run service; also the audience of the tokens that it takes."
  value       = google_cloudfunctions2_function.this.service_config[0].uri
}

output "source_object" {
  description = "The bundle that is deployed."
  value       = google_storage_bucket_object.source.name
}
