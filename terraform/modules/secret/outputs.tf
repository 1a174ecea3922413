output "name" {
  description = "The secret's name. Whoever waits for it, waits for its readers too."
  value       = google_secret_manager_secret.this.secret_id
  depends_on  = [google_secret_manager_secret_iam_member.accessor]
}
