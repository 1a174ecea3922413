mock_provider "google" {}

variables {
  project_id = "demo-project"
  location   = "europe-west1"
  indexes = [
    {
      collectionGroup = "runs"
      queryScope      = "COLLECTION"
      fields = [
        { fieldPath = "status", order = "ASCENDING" },
        { fieldPath = "created_at", order = "DESCENDING" },
      ]
    },
  ]
  field_overrides = [
    { collectionGroup = "failures", fieldPath = "_expires", ttl = true, indexes = [] },
    { collectionGroup = "runs", fieldPath = "_write", indexes = [] },
  ]
  point_in_time_recovery = true
  backup_days            = 7
  deletion_protection    = true
}

run "production_keeps_what_it_has" {
  command = plan

  assert {
    condition     = google_firestore_database.this.delete_protection_state == "DELETE_PROTECTION_ENABLED" && google_firestore_database.this.deletion_policy == "ABANDON"
    error_message = "Neither Terraform nor a person deletes a protected database."
  }

  assert {
    condition     = google_firestore_database.this.point_in_time_recovery_enablement == "POINT_IN_TIME_RECOVERY_ENABLED" && google_firestore_backup_schedule.daily[0].retention == "604800s"
    error_message = "It can be read as it was, and restored."
  }
}

run "development_can_be_deleted" {
  command = plan

  variables {
    point_in_time_recovery = false
    backup_days            = 0
    deletion_protection    = false
  }

  assert {
    condition     = google_firestore_database.this.deletion_policy == "DELETE" && length(google_firestore_backup_schedule.daily) == 0
    error_message = "Nothing is kept, and nothing is paid for."
  }
}

run "indexes_keep_the_order_of_their_fields" {
  command = plan

  assert {
    condition     = google_firestore_index.composite["runs-status_ascending-created_at_descending"].fields[*].field_path == tolist(["status", "created_at"])
    error_message = "Equal fields come first, then the ordered ones."
  }

  assert {
    condition     = google_firestore_index.composite["runs-status_ascending-created_at_descending"].fields[*].order == tolist(["ASCENDING", "DESCENDING"])
    error_message = "Each field has its direction."
  }
}

run "overrides_switch_indexes_off_and_expiry_on" {
  command = plan

  assert {
    condition     = length(google_firestore_field.override["failures-_expires"].ttl_config) == 1 && length(google_firestore_field.override["runs-_write"].ttl_config) == 0
    error_message = "Documents expire by the field that says so, and by no other."
  }

  assert {
    condition     = alltrue([for field in google_firestore_field.override : length(field.index_config) == 1 && length(field.index_config[0].indexes) == 0])
    error_message = "An overridden field is in no index."
  }
}

run "refuses_a_short_name" {
  command = plan

  variables {
    name = "db"
  }

  expect_failures = [var.name]
}

run "refuses_an_index_of_one_field" {
  command = plan

  variables {
    indexes = [{ collectionGroup = "runs", queryScope = "COLLECTION", fields = [{ fieldPath = "status", order = "ASCENDING" }] }]
  }

  expect_failures = [var.indexes]
}

run "refuses_an_index_of_another_order" {
  command = plan

  variables {
    field_overrides = [{ collectionGroup = "runs", fieldPath = "status", indexes = [{ order = "UP", queryScope = "COLLECTION" }] }]
  }

  expect_failures = [var.field_overrides]
}

run "refuses_long_backups" {
  command = plan

  variables {
    backup_days = 365
  }

  expect_failures = [var.backup_days]
}
