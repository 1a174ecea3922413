# The budget: it tells people what the project costs, and stops nothing.

resource "google_billing_budget" "this" {
  billing_account = var.billing_account
  display_name    = "ML Engine: ${var.project_id}"

  budget_filter {
    projects        = ["projects/${var.project_number}"]
    calendar_period = "MONTH"
    # What is left after credits is what is paid.
    credit_types_treatment = "INCLUDE_ALL_CREDITS"
  }

  amount {
    specified_amount {
      units = tostring(var.monthly_amount)
    }
  }

  dynamic "threshold_rules" {
    for_each = sort([for share in var.thresholds : format("%06.3f", share)])

    content {
      threshold_percent = tonumber(threshold_rules.value)
    }
  }

  # The month's end is told as soon as it can be seen.
  threshold_rules {
    threshold_percent = 1.0
    spend_basis       = "FORECASTED_SPEND"
  }

  all_updates_rule {
    monitoring_notification_channels = var.notification_channels
    enable_project_level_recipients  = true
  }
}
