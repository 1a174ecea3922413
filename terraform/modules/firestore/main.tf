locals {
  indexes = {
    for index in var.indexes : join("-", concat(
      [index.collectionGroup],
      [for field in index.fields : "${field.fieldPath}_${lower(field.order)}"],
    )) => index
  }
  fields = { for field in var.field_overrides : "${field.collectionGroup}-${field.fieldPath}" => field }
}

resource "google_firestore_database" "this" {
  project     = var.project_id
  name        = var.name
  location_id = var.location
  type        = "FIRESTORE_NATIVE"

  # Writes carry the revision they expect, so nobody needs to hold a lock.
  concurrency_mode = "OPTIMISTIC"

  point_in_time_recovery_enablement = var.point_in_time_recovery ? "POINT_IN_TIME_RECOVERY_ENABLED" : "POINT_IN_TIME_RECOVERY_DISABLED"
  delete_protection_state           = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.deletion_protection ? "ABANDON" : "DELETE"
}

resource "google_firestore_index" "composite" {
  for_each = local.indexes

  project     = var.project_id
  database    = google_firestore_database.this.name
  collection  = each.value.collectionGroup
  query_scope = each.value.queryScope

  dynamic "fields" {
    for_each = each.value.fields

    content {
      field_path = fields.value.fieldPath
      order      = fields.value.order
    }
  }
}

resource "google_firestore_field" "override" {
  for_each = local.fields

  project    = var.project_id
  database   = google_firestore_database.this.name
  collection = each.value.collectionGroup
  field      = each.value.fieldPath

  # Empty: the field is in no index. Each one that isn't asked for costs a write per document, and a time
  # stamp in an index keeps a collection below some 500 writes a second.
  index_config {
    dynamic "indexes" {
      for_each = each.value.indexes

      content {
        order       = indexes.value.order
        query_scope = indexes.value.queryScope
      }
    }
  }

  dynamic "ttl_config" {
    for_each = each.value.ttl ? [true] : []

    content {}
  }
}

resource "google_firestore_backup_schedule" "daily" {
  count = var.backup_days == 0 ? 0 : 1

  project   = var.project_id
  database  = google_firestore_database.this.name
  retention = "${var.backup_days * 86400}s"

  daily_recurrence {}
}
