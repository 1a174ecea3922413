mock_provider "google" {}

variables {
  project_id = "demo-project"
  location   = "europe-west1"
  name       = "admin-api-key"
  accessors  = { "fn-predict" = "serviceAccount:mlengine-fn-predict@demo-project.iam.gserviceaccount.com" }
}

run "only_its_users_read_it" {
  command = plan

  assert {
    condition     = keys(google_secret_manager_secret_iam_member.accessor) == ["fn-predict"]
    error_message = "One binding per user."
  }

  assert {
    condition     = google_secret_manager_secret_iam_member.accessor["fn-predict"].secret_id == google_secret_manager_secret.this.secret_id
    error_message = "The binding is on this secret alone."
  }
}

run "it_says_when_to_change_it" {
  command = plan

  assert {
    condition     = google_secret_manager_secret.this.annotations["rotate-every-days"] == "90"
    error_message = "The hint stands beside the secret."
  }
}

run "refuses_a_name_in_capitals" {
  command = plan

  variables {
    name = "ADMIN_API_KEY"
  }

  expect_failures = [var.name]
}

run "refuses_a_person" {
  command = plan

  variables {
    accessors = { someone = "user:someone@example.com" }
  }

  expect_failures = [var.accessors]
}

run "refuses_no_days" {
  command = plan

  variables {
    rotate_every_days = 0
  }

  expect_failures = [var.rotate_every_days]
}
