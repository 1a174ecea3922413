mock_provider "google" {
  mock_resource "google_pubsub_topic" {
    defaults = { id = "projects/demo-project/topics/predictions.made" }
  }
}

variables {
  project_id        = "demo-project"
  region            = "europe-west1"
  name              = "predictions.made"
  publishers        = { "fn-predict" = "serviceAccount:mlengine-fn-predict@demo-project.iam.gserviceaccount.com" }
  dead_letter_topic = "projects/demo-project/topics/dead.letters"
  pubsub_agent      = "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
  subscriptions = {
    audit = {
      endpoint              = "https://audit.example.com"
      service_account_email = "mlengine-push@demo-project.iam.gserviceaccount.com"
    }
  }
}

run "a_subscription_pushes_with_a_token" {
  assert {
    condition     = google_pubsub_subscription.push["audit"].topic == google_pubsub_topic.this.id
    error_message = "It takes from this topic."
  }

  assert {
    condition     = google_pubsub_subscription.push["audit"].push_config[0].oidc_token[0].service_account_email == "mlengine-push@demo-project.iam.gserviceaccount.com" && google_pubsub_subscription.push["audit"].push_config[0].oidc_token[0].audience == "https://audit.example.com"
    error_message = "The function can tell that it is Pub/Sub that calls, and calls it."
  }

  assert {
    condition     = google_pubsub_subscription.push["audit"].expiration_policy[0].ttl == ""
    error_message = "An idle subscription stays."
  }
}

run "it_is_retried_then_given_up" {
  assert {
    condition     = google_pubsub_subscription.push["audit"].retry_policy[0].minimum_backoff == "10s" && google_pubsub_subscription.push["audit"].retry_policy[0].maximum_backoff == "600s"
    error_message = "Attempts come ever later."
  }

  assert {
    condition     = google_pubsub_subscription.push["audit"].dead_letter_policy[0].dead_letter_topic == var.dead_letter_topic && google_pubsub_subscription.push["audit"].dead_letter_policy[0].max_delivery_attempts == 5
    error_message = "After the fifth it is a dead letter."
  }

  assert {
    condition     = google_pubsub_subscription_iam_member.gives_up["audit"].member == var.pubsub_agent && google_pubsub_subscription_iam_member.gives_up["audit"].subscription == "audit"
    error_message = "Pub/Sub may take it off the subscription."
  }
}

run "dead_letters_are_tried_for_ever" {
  variables {
    name              = "dead.letters"
    dead_letter_topic = null
    subscriptions = {
      deadletters = {
        endpoint              = "https://deadletters.example.com"
        service_account_email = "mlengine-push@demo-project.iam.gserviceaccount.com"
        gives_up              = false
      }
    }
  }

  assert {
    condition     = length(google_pubsub_subscription.push["deadletters"].dead_letter_policy) == 0 && length(google_pubsub_subscription_iam_member.gives_up) == 0
    error_message = "They have nowhere to go."
  }
}

run "only_its_publishers_publish" {
  assert {
    condition     = google_pubsub_topic_iam_member.publisher["fn-predict"].topic == "predictions.made" && length(google_pubsub_topic_iam_member.publisher) == 1
    error_message = "The binding is on this topic alone."
  }

  assert {
    condition     = google_pubsub_topic.this.message_retention_duration == null && length(google_pubsub_schema.this) == 0
    error_message = "By default the topic keeps nothing, and takes any message."
  }
}

run "a_schema_is_checked_by_pubsub" {
  variables {
    avro_schema    = "{\"type\": \"record\", \"name\": \"Prediction\", \"fields\": []}"
    retention_days = 1
  }

  assert {
    condition     = google_pubsub_topic.this.schema_settings[0].encoding == "JSON" && google_pubsub_topic.this.schema_settings[0].schema == google_pubsub_schema.this[0].id
    error_message = "The topic takes only what fits its schema."
  }

  assert {
    condition     = google_pubsub_topic.this.message_retention_duration == "86400s"
    error_message = "Days become seconds."
  }
}

run "refuses_another_form_of_name" {
  command = plan

  variables {
    name = "Predictions"
  }

  expect_failures = [var.name]
}

run "refuses_long_retention" {
  command = plan

  variables {
    retention_days = 32
  }

  expect_failures = [var.retention_days]
}

run "refuses_what_is_no_avro_record" {
  command = plan

  variables {
    avro_schema = "{}"
  }

  expect_failures = [var.avro_schema]
}

run "refuses_everybody" {
  command = plan

  variables {
    publishers = { all = "allUsers" }
  }

  expect_failures = [var.publishers]
}

run "refuses_a_long_deadline" {
  command = plan

  variables {
    ack_deadline_seconds = 601
  }

  expect_failures = [var.ack_deadline_seconds]
}

run "refuses_a_first_wait_longer_than_the_longest" {
  command = plan

  variables {
    minimum_backoff_seconds = 60
    maximum_backoff_seconds = 30
  }

  expect_failures = [var.minimum_backoff_seconds]
}

run "refuses_a_long_wait" {
  command = plan

  variables {
    maximum_backoff_seconds = 601
  }

  expect_failures = [var.maximum_backoff_seconds]
}

run "refuses_few_attempts" {
  command = plan

  variables {
    max_delivery_attempts = 1
  }

  expect_failures = [var.max_delivery_attempts]
}

run "refuses_another_agent" {
  command = plan

  variables {
    pubsub_agent = "serviceAccount:someone@example.com"
  }

  expect_failures = [var.pubsub_agent]
}
