locals {
  # Known before it is made, so that a plan shows who gets what.
  email = "${var.account_id}@${var.project_id}.iam.gserviceaccount.com"
}

resource "google_service_account" "this" {
  project      = var.project_id
  account_id   = var.account_id
  display_name = var.account_id
  description  = var.purpose
}

resource "google_project_iam_member" "role" {
  for_each = var.roles

  project = var.project_id
  role    = each.value.role
  member  = "serviceAccount:${local.email}"

  dynamic "condition" {
    for_each = each.value.condition == null ? [] : [each.value.condition]

    content {
      title       = condition.value.title
      description = each.value.why
      expression  = condition.value.expression
    }
  }

  depends_on = [google_service_account.this]
}
