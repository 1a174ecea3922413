output "name" {
  description = "The role as a binding names it."
  value       = "projects/${var.project_id}/roles/${var.role_id}"
  depends_on  = [google_project_iam_custom_role.this]
}
