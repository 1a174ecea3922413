module "warehouse" {
  source = "./modules/bigquery"

  project_id          = var.project_id
  project_number      = data.google_project.this.number
  location            = var.region
  definition          = "${path.module}/../shared/monitoring/warehouse/predictions"
  topic               = "projects/${var.project_id}/topics/${module.topic["predictions.made"].name}"
  dead_letter_topic   = "projects/${var.project_id}/topics/${module.dead_letters.name}"
  expiry_days         = var.prediction_expiry_days
  readers             = var.warehouse_readers
  deletion_protection = var.deletion_protection

  # That Pub/Sub may publish dead letters is granted there.
  depends_on = [module.project_services, module.dead_letters]
}
