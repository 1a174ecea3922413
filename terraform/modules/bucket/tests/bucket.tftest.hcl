mock_provider "google" {}

variables {
  project_id  = "demo-project"
  name        = "demo-project-mlengine"
  location    = "europe-west1"
  expiry_days = { scores = 90 }
  grants = {
    "reader" = { role = "roles/storage.objectViewer", member = "serviceAccount:a@b.c", why = "reads models", folder = "models" }
    "whole"  = { role = "roles/storage.objectViewer", member = "serviceAccount:a@b.c", why = "reads all" }
  }
}

run "nobody_from_outside_gets_in" {
  command = plan

  assert {
    condition     = google_storage_bucket.this.uniform_bucket_level_access && google_storage_bucket.this.public_access_prevention == "enforced"
    error_message = "The bucket is private, and no object's own list can change that."
  }

  assert {
    condition     = !google_storage_bucket.this.force_destroy && google_storage_bucket.this.versioning[0].enabled
    error_message = "By default objects survive a mistake."
  }
}

run "a_folder_is_granted_with_its_listing" {
  command = plan

  assert {
    condition = google_storage_bucket_iam_member.grant["reader"].condition[0].expression == join(" || ", [
      "resource.name.startsWith(\"projects/_/buckets/demo-project-mlengine/objects/models/\")",
      "api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"\").startsWith(\"models/\")",
    ])
    error_message = "The condition names the folder, for objects and for listings."
  }

  assert {
    condition     = length(google_storage_bucket_iam_member.grant["whole"].condition) == 0
    error_message = "Without a folder the grant is for the bucket."
  }
}

run "old_objects_go" {
  command = plan

  assert {
    condition     = length(google_storage_bucket.this.lifecycle_rule) == 3
    error_message = "Noncurrent versions, expired folders and broken uploads are deleted."
  }
}

run "retention_goes_without_versions" {
  command = plan

  variables {
    retention_days  = 30
    versioning      = false
    noncurrent_days = null
  }

  assert {
    condition     = google_storage_bucket.this.retention_policy[0].retention_period == "2592000"
    error_message = "Days become seconds."
  }
}

run "refuses_a_name_with_capitals" {
  command = plan

  variables {
    name = "Demo"
  }

  expect_failures = [var.name]
}

run "refuses_no_days_for_noncurrent_versions" {
  command = plan

  variables {
    noncurrent_days = 0
  }

  expect_failures = [var.noncurrent_days]
}

run "refuses_a_short_soft_delete" {
  command = plan

  variables {
    soft_delete_days = 3
  }

  expect_failures = [var.soft_delete_days]
}

run "refuses_retention_with_versions" {
  command = plan

  variables {
    retention_days = 30
  }

  expect_failures = [var.retention_days]
}

run "refuses_a_folder_with_a_slash" {
  command = plan

  variables {
    expiry_days = { "scores/" = 90 }
  }

  expect_failures = [var.expiry_days]
}

run "refuses_everybody" {
  command = plan

  variables {
    grants = { all = { role = "roles/storage.objectViewer", member = "allUsers", why = "it is convenient" } }
  }

  expect_failures = [var.grants]
}

run "refuses_a_grant_without_reason" {
  command = plan

  variables {
    grants = { some = { role = "roles/storage.objectViewer", member = "serviceAccount:a@b.c", why = "" } }
  }

  expect_failures = [var.grants]
}
