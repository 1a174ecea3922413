mock_provider "google" {}

variables {
  billing_account = "012345-6789AB-CDEF01"
  project_id      = "some-project"
  project_number  = "123456789012"
  monthly_amount  = 20
}

run "people_are_told_on_the_way" {
  command = plan

  variables {
    thresholds            = [1.0, 0.5]
    notification_channels = ["projects/some-project/notificationChannels/1"]
  }

  assert {
    condition     = [for rule in google_billing_budget.this.threshold_rules : rule.threshold_percent] == [0.5, 1, 1]
    error_message = "Each share must be a rule, and the forecast another."
  }

  assert {
    condition     = google_billing_budget.this.threshold_rules[2].spend_basis == "FORECASTED_SPEND"
    error_message = "The month's end must be told before it comes."
  }

  assert {
    condition     = google_billing_budget.this.all_updates_rule[0].monitoring_notification_channels == tolist(["projects/some-project/notificationChannels/1"])
    error_message = "The channels must be told."
  }
}

run "only_this_project_counts" {
  command = plan

  assert {
    condition     = google_billing_budget.this.budget_filter[0].projects == toset(["projects/123456789012"])
    error_message = "The budget must look at one project."
  }

  assert {
    condition     = google_billing_budget.this.amount[0].specified_amount[0].units == "20"
    error_message = "The amount must be the one that was asked for."
  }
}

run "refuses_a_name_for_a_billing_account" {
  command = plan
  variables {
    billing_account = "My Billing Account"
  }
  expect_failures = [var.billing_account]
}

run "refuses_an_id_for_a_number" {
  command = plan
  variables {
    project_number = "some-project"
  }
  expect_failures = [var.project_number]
}

run "refuses_an_amount_of_nothing" {
  command = plan
  variables {
    monthly_amount = 0
  }
  expect_failures = [var.monthly_amount]
}

run "refuses_percents_for_shares" {
  command = plan
  variables {
    thresholds = [50, 90]
  }
  expect_failures = [var.thresholds]
}

run "refuses_more_channels_than_a_budget_tells" {
  command = plan
  variables {
    notification_channels = ["1", "2", "3", "4", "5", "6"]
  }
  expect_failures = [var.notification_channels]
}
