output "email" {
  description = "The account's address."
  value       = local.email
  depends_on  = [google_service_account.this, google_project_iam_member.role]
}

output "member" {
  description = "The account as a member of an IAM binding."
  value       = "serviceAccount:${local.email}"
  depends_on  = [google_service_account.this, google_project_iam_member.role]
}

output "id" {
  description = "The account's full name: projects/<project>/serviceAccounts/<email>."
  value       = "projects/${var.project_id}/serviceAccounts/${local.email}"
  depends_on  = [google_service_account.this, google_project_iam_member.role]
}
