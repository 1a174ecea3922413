resource "google_storage_bucket" "this" {
  #checkov:skip=CKV_GCP_62:Cloud Audit Logs tell who did what; access logs are for public buckets, and need one more bucket
  name     = var.name
  project  = var.project_id
  location = var.location

  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = var.force_destroy

  versioning {
    enabled = var.versioning
  }

  soft_delete_policy {
    retention_duration_seconds = var.soft_delete_days * 86400
  }

  dynamic "retention_policy" {
    for_each = var.retention_days == null ? [] : [var.retention_days]

    content {
      # The provider wants text.
      retention_period = tostring(retention_policy.value * 86400)
    }
  }

  dynamic "lifecycle_rule" {
    for_each = var.noncurrent_days == null ? [] : [var.noncurrent_days]

    content {
      action {
        type = "Delete"
      }

      condition {
        days_since_noncurrent_time = lifecycle_rule.value
        with_state                 = "ARCHIVED"
      }
    }
  }

  dynamic "lifecycle_rule" {
    for_each = var.expiry_days

    content {
      action {
        type = "Delete"
      }

      condition {
        age            = lifecycle_rule.value
        matches_prefix = ["${lifecycle_rule.key}/"]
        with_state     = "LIVE"
      }
    }
  }

  # What a broken upload leaves behind costs as much as what arrived.
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }

    condition {
      age = 7
    }
  }
}

resource "google_storage_bucket_iam_member" "grant" {
  for_each = var.grants

  bucket = google_storage_bucket.this.name
  role   = each.value.role
  member = each.value.member

  dynamic "condition" {
    for_each = each.value.folder == null ? [] : [each.value.folder]

    content {
      title       = "folder ${condition.value}"
      description = each.value.why
      # An object is named by its path; a listing has only the prefix that it asks for.
      expression = join(" || ", [
        "resource.name.startsWith(\"projects/_/buckets/${var.name}/objects/${condition.value}/\")",
        "api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"\").startsWith(\"${condition.value}/\")",
      ])
    }
  }
}
