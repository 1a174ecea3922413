mock_provider "google" {}

variables {
  project_id = "demo-project"
  services   = ["run.googleapis.com", "pubsub.googleapis.com"]
}

run "each_service_is_enabled_and_stays" {
  command = plan

  assert {
    condition     = toset(keys(google_project_service.this)) == toset(["run.googleapis.com", "pubsub.googleapis.com"])
    error_message = "Each service of the set is enabled."
  }

  assert {
    condition     = alltrue([for service in google_project_service.this : !service.disable_on_destroy])
    error_message = "A teardown leaves the project's services as they are."
  }
}

run "refuses_a_short_name" {
  command = plan

  variables {
    services = ["run"]
  }

  expect_failures = [var.services]
}
