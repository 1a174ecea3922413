resource "google_artifact_registry_repository" "this" {
  #checkov:skip=CKV_GCP_84:Google's keys encrypt it; one of ours costs every month, and lost, it takes the data along
  project       = var.project_id
  location      = var.location
  repository_id = var.name
  description   = var.purpose
  format        = "DOCKER"

  # Images are used by their digests. Where tags were immutable, no tagged image could be deleted.
  docker_config {
    immutable_tags = false
  }

  # What is kept beats what is deleted: the last images stay, however old.
  cleanup_policies {
    id     = "keep-the-last"
    action = "KEEP"

    most_recent_versions {
      keep_count = var.keep_images
    }
  }

  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"

    condition {
      tag_state  = "ANY"
      older_than = "${var.delete_after_days * 86400}s"
    }
  }
}

resource "google_artifact_registry_repository_iam_member" "grant" {
  for_each = var.grants

  project    = var.project_id
  location   = var.location
  repository = google_artifact_registry_repository.this.repository_id
  role       = each.value.role
  member     = each.value.member
}
