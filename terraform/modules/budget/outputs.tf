output "display_name" {
  description = "The budget's name in the billing account."
  value       = google_billing_budget.this.display_name
}
