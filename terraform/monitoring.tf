locals {
  # Title -> what the runbook says under it. The section goes with the alert.
  runbook = {
    for section in slice(local.runbook_sections, 1, length(local.runbook_sections)) :
    regex("^[^\n]+", section) => trimspace(replace(section, "/^[^\n]+\n/", ""))
  }
  runbook_sections = split("\n## ", file("${path.module}/docs/runbook.md"))

  # When the schedule brings candles: hour, and the days from the one to the other.
  ingest = regex("^\\d+ (?P<hour>\\d+) \\* \\* (?P<first_day>[0-6])-(?P<last_day>[0-6])$", local.schedules.ingest.cron)

  # What is fired in the morning must have come for the rest of that day, what is fired in the evening by the
  # next day, until that day's turn.
  is_early = tonumber(local.ingest.hour) < 12
}

module "monitoring" {
  source = "./modules/monitoring"

  project_id     = var.project_id
  project_number = data.google_project.this.number
  name           = trimsuffix(var.prefix, "-")
  runbook        = local.runbook
  metrics        = yamldecode(file("${path.module}/../infra/metrics.yaml")).metrics

  services                 = { for name, function in module.function : name => function.name }
  jobs                     = [for job in module.job : job.name]
  subscriptions            = concat(flatten([for topic in module.topic : topic.subscriptions]), module.dead_letters.subscriptions, [module.warehouse.subscription])
  dead_letter_subscription = one(module.dead_letters.subscriptions)

  # Paused schedules bring no candles.
  candles_due = var.schedules_paused ? null : {
    topic       = module.topic["candles.updated"].name
    first_day   = tonumber(local.ingest.first_day) + (local.is_early ? 0 : 1)
    last_day    = tonumber(local.ingest.last_day) + (local.is_early ? 0 : 1)
    from_hour   = local.is_early ? tonumber(local.ingest.hour) + 1 : 0
    before_hour = local.is_early ? 24 : tonumber(local.ingest.hour)
  }

  error_ratio       = var.error_ratio
  latency_limits_ms = var.latency_limits_ms
  emails            = var.alert_emails
  topic             = var.alerts_on_topic ? "projects/${var.project_id}/topics/${module.topic["alerts.raised"].name}" : null

  depends_on = [module.project_services]
}
