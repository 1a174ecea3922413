mock_provider "google" {}

variables {
  project_id = "demo-project"
  account_id = "mlengine-fn-predict"
  purpose    = "Predicts."
  roles = {
    "documents.get" = {
      role      = "roles/datastore.viewer"
      why       = "reads documents"
      condition = { title = "database", expression = "resource.name == 'x'" }
    }
    "logs" = { role = "roles/logging.logWriter", why = "writes logs" }
  }
}

run "roles_go_to_the_account" {
  command = plan

  assert {
    condition     = alltrue([for grant in google_project_iam_member.role : grant.member == "serviceAccount:mlengine-fn-predict@demo-project.iam.gserviceaccount.com"])
    error_message = "Every role is the account's."
  }

  assert {
    condition     = output.member == google_project_iam_member.role["logs"].member
    error_message = "Other modules bind the same member."
  }
}

run "a_condition_carries_its_reason" {
  command = plan

  assert {
    condition     = google_project_iam_member.role["documents.get"].condition[0].description == "reads documents"
    error_message = "The reason stands in the condition."
  }

  assert {
    condition     = length(google_project_iam_member.role["logs"].condition) == 0
    error_message = "Without a condition the role holds everywhere in the project."
  }
}

run "refuses_a_long_name" {
  command = plan

  variables {
    account_id = "mlengine-function-batch-predict"
  }

  expect_failures = [var.account_id]
}

run "refuses_no_purpose" {
  command = plan

  variables {
    purpose = ""
  }

  expect_failures = [var.purpose]
}

run "refuses_a_role_without_reason" {
  command = plan

  variables {
    roles = { logs = { role = "roles/logging.logWriter", why = "" } }
  }

  expect_failures = [var.roles]
}

run "refuses_a_basic_role" {
  command = plan

  variables {
    roles = { all = { role = "roles/editor", why = "it is convenient" } }
  }

  expect_failures = [var.roles]
}
