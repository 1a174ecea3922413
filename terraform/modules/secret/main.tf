# The secret without its value: a version that Terraform adds would stand in its state, readable by whoever
# reads that. The operator adds versions with 'gcloud secrets versions add'.
resource "google_secret_manager_secret" "this" {
  project             = var.project_id
  secret_id           = var.name
  deletion_protection = var.deletion_protection
  annotations         = { rotate-every-days = tostring(var.rotate_every_days) }

  # A version that is destroyed by mistake can be enabled again for a week.
  version_destroy_ttl = "604800s"

  replication {
    user_managed {
      replicas {
        location = var.location
      }
    }
  }
}

resource "google_secret_manager_secret_iam_member" "accessor" {
  for_each = var.accessors

  project   = var.project_id
  secret_id = google_secret_manager_secret.this.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value
}
