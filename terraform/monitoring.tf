locals {
  # Title -> what the runbook says under it. The section goes with the alert.
  runbook = {
    for section in slice(local.runbook_sections, 1, length(local.runbook_sections)) :
    regex("^[^\n]+", section) => trimspace(replace(section, "/^[^\n]+\n/", ""))
  }
  runbook_sections = split("\n## ", file("${path.module}/docs/runbook.md"))

  # When the schedule brings candles: minute, hour, and the days from the one to the other.
  ingest = regex("^\\d+ (?P<hour>\\d+) \\* \\* (?P<first_day>[0-5])-(?P<last_day>[0-5])$", local.schedules.ingest.cron)
}

module "monitoring" {
  source = "./modules/monitoring"

  project_id     = var.project_id
  project_number = data.google_project.this.number
  name           = trimsuffix(var.prefix, "-")
  runbook        = local.runbook

  services                 = { for name, function in module.function : name => function.name }
  jobs                     = [for job in module.job : job.name]
  subscriptions            = concat(flatten([for topic in module.topic : topic.subscriptions]), module.dead_letters.subscriptions, [module.warehouse.subscription])
  dead_letter_subscription = one(module.dead_letters.subscriptions)

  # The day after each session, until the next one's candles come. Paused schedules bring none.
  candles_due = var.schedules_paused ? null : {
    topic       = module.topic["candles.updated"].name
    first_day   = tonumber(local.ingest.first_day) + 1
    last_day    = tonumber(local.ingest.last_day) + 1
    before_hour = tonumber(local.ingest.hour)
  }

  error_ratio       = var.error_ratio
  latency_limits_ms = var.latency_limits_ms
  emails            = var.alert_emails
  topic             = var.alerts_on_topic ? "projects/${var.project_id}/topics/${module.topic["alerts.raised"].name}" : null

  depends_on = [module.project_services]
}
