mock_provider "google" {}

variables {
  project_id  = "demo-project"
  role_id     = "mlengineJobStarter"
  title       = "Job starter"
  why         = "the predefined one also changes jobs"
  permissions = ["run.jobs.run"]
}

run "the_role_is_named_as_bindings_name_it" {
  command = plan

  assert {
    condition     = output.name == "projects/demo-project/roles/${google_project_iam_custom_role.this.role_id}"
    error_message = "A binding names the role by its project."
  }
}

run "refuses_a_dash_in_the_name" {
  command = plan

  variables {
    role_id = "job-starter"
  }

  expect_failures = [var.role_id]
}

run "refuses_no_reason" {
  command = plan

  variables {
    why = ""
  }

  expect_failures = [var.why]
}

run "refuses_a_wildcard" {
  command = plan

  variables {
    permissions = ["run.jobs.*"]
  }

  expect_failures = [var.permissions]
}
