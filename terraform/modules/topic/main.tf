resource "google_pubsub_topic" "this" {
  #checkov:skip=CKV_GCP_83:Google's keys encrypt it; one of ours costs every month, and lost, it takes the data along
  project                    = var.project_id
  name                       = var.name
  message_retention_duration = var.retention_days == 0 ? null : "${var.retention_days * 86400}s"

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  dynamic "schema_settings" {
    for_each = google_pubsub_schema.this

    content {
      schema   = schema_settings.value.id
      encoding = "JSON"
    }
  }
}

resource "google_pubsub_schema" "this" {
  count = var.avro_schema == null ? 0 : 1

  project    = var.project_id
  name       = var.name
  type       = "AVRO"
  definition = var.avro_schema
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = var.publishers

  project = var.project_id
  topic   = google_pubsub_topic.this.name
  role    = "roles/pubsub.publisher"
  member  = each.value
}

resource "google_pubsub_subscription" "push" {
  for_each = var.subscriptions

  project                    = var.project_id
  name                       = each.key
  topic                      = google_pubsub_topic.this.id
  ack_deadline_seconds       = var.ack_deadline_seconds
  message_retention_duration = "604800s"

  push_config {
    push_endpoint = each.value.endpoint

    oidc_token {
      service_account_email = each.value.service_account_email
      audience              = each.value.endpoint
    }
  }

  retry_policy {
    minimum_backoff = "${var.minimum_backoff_seconds}s"
    maximum_backoff = "${var.maximum_backoff_seconds}s"
  }

  # Else Pub/Sub deletes a subscription that was idle for a month.
  expiration_policy {
    ttl = ""
  }

  dynamic "dead_letter_policy" {
    for_each = each.value.gives_up ? [true] : []

    content {
      dead_letter_topic     = var.dead_letter_topic
      max_delivery_attempts = var.max_delivery_attempts
    }
  }
}

# Giving up takes the message off its subscription, and Pub/Sub does that as its own agent.
resource "google_pubsub_subscription_iam_member" "gives_up" {
  for_each = { for name, subscription in var.subscriptions : name => subscription if subscription.gives_up }

  project      = var.project_id
  subscription = google_pubsub_subscription.push[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = var.pubsub_agent
}
