module "budget" {
  source = "./modules/budget"
  count  = var.billing_account == null ? 0 : 1

  providers = { google = google.on_own_quota }

  billing_account       = var.billing_account
  project_id            = var.project_id
  project_number        = data.google_project.this.number
  monthly_amount        = var.monthly_budget
  notification_channels = slice(module.monitoring.email_channels, 0, min(5, length(module.monitoring.email_channels)))

  depends_on = [module.operations_services]
}
