mock_provider "google" {}

variables {
  project_id        = "some-project"
  project_number    = "123456789012"
  location          = "europe-west1"
  definition        = "../../../shared/monitoring/warehouse/predictions"
  topic             = "projects/some-project/topics/predictions.made"
  dead_letter_topic = "projects/some-project/topics/dead.letters"
}

run "the_table_is_what_its_files_say" {
  command = plan

  assert {
    condition     = jsondecode(google_bigquery_table.rows.schema) == jsondecode(file("../../../shared/monitoring/warehouse/predictions.schema.json"))
    error_message = "The table must have the columns of its file."
  }

  assert {
    condition = (
      google_bigquery_table.rows.time_partitioning[0].type == "DAY"
      && google_bigquery_table.rows.time_partitioning[0].field == "made_at"
      && google_bigquery_table.rows.clustering == tolist(["symbol", "model_id"])
    )
    error_message = "The table must be cut by day and clustered."
  }

  assert {
    condition     = strcontains(google_bigquery_table.view.view[0].query, "FROM `some-project.mlengine.predictions_made`")
    error_message = "A view must name its table with project and dataset."
  }
}

run "pubsub_writes_into_the_table" {
  command = plan

  assert {
    condition = (
      google_pubsub_subscription.this.topic == var.topic
      && google_pubsub_subscription.this.bigquery_config[0].table == "some-project.mlengine.predictions_made"
      && google_pubsub_subscription.this.bigquery_config[0].use_table_schema
      && google_pubsub_subscription.this.bigquery_config[0].drop_unknown_fields
      && !google_pubsub_subscription.this.bigquery_config[0].write_metadata
    )
    error_message = "Each member of an event's data must become a column."
  }

  assert {
    condition     = google_pubsub_subscription.this.dead_letter_policy[0].dead_letter_topic == var.dead_letter_topic
    error_message = "What is no row must become a dead letter."
  }

  assert {
    condition = (
      google_bigquery_table_iam_member.pubsub.member == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
      && google_bigquery_table_iam_member.pubsub.table_id == google_bigquery_table.rows.table_id
      && google_pubsub_subscription_iam_member.pubsub.member == google_bigquery_table_iam_member.pubsub.member
    )
    error_message = "Pub/Sub's own account must be allowed to write rows and to hand dead letters on."
  }
}

run "rows_are_protected_unless_told" {
  command = plan

  assert {
    condition     = google_bigquery_table.rows.deletion_protection && !google_bigquery_dataset.this.delete_contents_on_destroy
    error_message = "Rows must be protected unless told otherwise."
  }
}

run "rows_expire_when_told" {
  command = plan

  variables {
    expiry_days         = 730
    deletion_protection = false
    readers             = ["group:analysts@example.com"]
  }

  assert {
    condition     = google_bigquery_table.rows.time_partitioning[0].expiration_ms == 63072000000
    error_message = "expiry_days must be turned into milliseconds."
  }

  assert {
    condition     = !google_bigquery_table.rows.deletion_protection && google_bigquery_dataset.this.delete_contents_on_destroy
    error_message = "Without protection a teardown must go through."
  }

  assert {
    condition     = google_bigquery_dataset_iam_member.reader["group:analysts@example.com"].role == "roles/bigquery.dataViewer"
    error_message = "A reader must be able to read."
  }
}

run "refuses_an_id_for_a_number" {
  command = plan
  variables {
    project_number = "some-project"
  }
  expect_failures = [var.project_number]
}

run "refuses_a_zone_for_a_location" {
  command = plan
  variables {
    location = "europe-west1-b"
  }
  expect_failures = [var.location]
}

run "refuses_a_bare_topic" {
  command = plan
  variables {
    topic = "predictions.made"
  }
  expect_failures = [var.topic]
}

run "refuses_a_bare_dead_letter_topic" {
  command = plan
  variables {
    dead_letter_topic = "dead.letters"
  }
  expect_failures = [var.dead_letter_topic]
}

run "refuses_a_subscription_with_a_slash" {
  command = plan
  variables {
    subscription = "projects/some-project/subscriptions/warehouse"
  }
  expect_failures = [var.subscription]
}

run "refuses_half_a_day" {
  command = plan
  variables {
    expiry_days = 0.5
  }
  expect_failures = [var.expiry_days]
}

run "refuses_everybody_as_a_reader" {
  command = plan
  variables {
    readers = ["allAuthenticatedUsers"]
  }
  expect_failures = [var.readers]
}
