# The warehouse: every prediction as a row, written by Pub/Sub itself. No code runs, so none is paid for.
#
# The table's shape is not written down here: these are the files that the twin reads too.

locals {
  table        = jsondecode(file("${var.definition}.table.json"))
  table_name   = "${var.project_id}.${local.table.dataset}.${local.table.table}"
  pubsub_agent = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_bigquery_dataset" "this" {
  #checkov:skip=CKV_GCP_81:Google's keys encrypt it; one of ours costs every month, and lost, it takes the data along
  project                    = var.project_id
  dataset_id                 = local.table.dataset
  location                   = var.location
  description                = "What the engine predicted."
  delete_contents_on_destroy = !var.deletion_protection
}

resource "google_bigquery_table" "rows" {
  #checkov:skip=CKV_GCP_80:Google's keys encrypt it; one of ours costs every month, and lost, it takes the data along
  project             = var.project_id
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = local.table.table
  description         = local.table.description
  schema              = file("${var.definition}.schema.json")
  clustering          = local.table.clustering
  deletion_protection = var.deletion_protection

  time_partitioning {
    type          = local.table.partitioning.type
    field         = local.table.partitioning.field
    expiration_ms = var.expiry_days == null ? null : var.expiry_days * 24 * 60 * 60 * 1000
  }
}

# Nothing rests in a view: it may be deleted and made again at any time.
resource "google_bigquery_table" "view" {
  #checkov:skip=CKV_GCP_80:a view holds nothing that could be encrypted
  #checkov:skip=CKV_GCP_121:a view holds nothing that could be lost
  project             = var.project_id
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = local.table.view
  description         = "Every prediction once."
  deletion_protection = false

  view {
    query          = templatefile("${var.definition}.view.sql", { table = "`${local.table_name}`" })
    use_legacy_sql = false
  }

  # The API refuses a view of a table that isn't there.
  depends_on = [google_bigquery_table.rows]
}

resource "google_bigquery_dataset_iam_member" "reader" {
  for_each = var.readers

  project    = var.project_id
  dataset_id = google_bigquery_dataset.this.dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = each.value
}

# Pub/Sub's own account writes the rows, and into this table alone.
resource "google_bigquery_table_iam_member" "pubsub" {
  project    = var.project_id
  dataset_id = google_bigquery_dataset.this.dataset_id
  table_id   = google_bigquery_table.rows.table_id
  role       = "roles/bigquery.dataEditor"
  member     = local.pubsub_agent
}

resource "google_pubsub_subscription" "this" {
  project = var.project_id
  name    = var.subscription
  topic   = var.topic

  # What couldn't be written waits for as long as Pub/Sub keeps anything.
  message_retention_duration = "604800s"
  ack_deadline_seconds       = 600

  bigquery_config {
    table               = local.table_name
    use_table_schema    = local.table.subscription.use_table_schema
    drop_unknown_fields = local.table.subscription.drop_unknown_fields
    write_metadata      = local.table.subscription.write_metadata
  }

  dead_letter_policy {
    dead_letter_topic     = var.dead_letter_topic
    max_delivery_attempts = 5
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  # Else it is deleted after a month without predictions.
  expiration_policy {
    ttl = ""
  }

  # The API tries the table when the subscription is made.
  depends_on = [google_bigquery_table_iam_member.pubsub]
}

# To hand a dead letter on, Pub/Sub's own account acknowledges it here.
resource "google_pubsub_subscription_iam_member" "pubsub" {
  project      = var.project_id
  subscription = google_pubsub_subscription.this.name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}
