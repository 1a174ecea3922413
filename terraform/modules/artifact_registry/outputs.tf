output "id" {
  description = "The repository's full name: projects/<project>/locations/<region>/repositories/<name>."
  value       = "projects/${var.project_id}/locations/${var.location}/repositories/${var.name}"
  depends_on  = [google_artifact_registry_repository.this, google_artifact_registry_repository_iam_member.grant]
}

output "url" {
  description = "Where images are pushed to."
  value       = "${var.location}-docker.pkg.dev/${var.project_id}/${var.name}"
  depends_on  = [google_artifact_registry_repository.this]
}
