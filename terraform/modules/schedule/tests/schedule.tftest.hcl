mock_provider "google" {}

variables {
  project_id = "demo-project"
  region     = "europe-west1"
  name       = "mlengine-retrain"
  purpose    = "Trains a challenger."
  cron       = "0 2 * * 0"
  timezone   = "Etc/UTC"
  topic      = "projects/demo-project/topics/training.requested"
  data       = { request = { problem = "market_signal" } }
  paused     = false
}

run "it_publishes_its_data" {
  command = plan

  assert {
    condition     = jsondecode(base64decode(google_cloud_scheduler_job.this.pubsub_target[0].data)).request.problem == "market_signal"
    error_message = "The message is the data as JSON."
  }

  assert {
    condition     = google_cloud_scheduler_job.this.pubsub_target[0].topic_name == var.topic && !google_cloud_scheduler_job.this.paused
    error_message = "It fires on the topic of the function that takes it."
  }
}

run "it_can_be_made_paused" {
  command = plan

  variables {
    paused = true
  }

  assert {
    condition     = google_cloud_scheduler_job.this.paused
    error_message = "A new environment needn't begin to spend."
  }
}

run "refuses_capitals" {
  command = plan

  variables {
    name = "Retrain"
  }

  expect_failures = [var.name]
}

run "refuses_a_long_purpose" {
  command = plan

  variables {
    purpose = join("", [for i in range(501) : "x"])
  }

  expect_failures = [var.purpose]
}

run "refuses_a_cron_with_seconds" {
  command = plan

  variables {
    cron = "0 0 2 * * 0"
  }

  expect_failures = [var.cron]
}

run "refuses_an_offset" {
  command = plan

  variables {
    timezone = "+02:00"
  }

  expect_failures = [var.timezone]
}
