# The bundles must be there: 'python -m infra.bundle' makes them.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

mock_provider "google" {
  alias = "on_own_quota"
}

variables {
  project_id             = "demo-project"
  environment            = "staging"
  market_data_url        = "https://market-data.example.com"
  job_image              = "europe-west1-docker.pkg.dev/demo-project/mlengine-jobs/jobs@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  schedules_paused       = false
  point_in_time_recovery = false
  backup_days            = 0
  deletion_protection    = false
}

# Two plans of everything, which take most of the time: what follows from the catalogue, and from the variables.
run "the_catalogue_is_what_is_made" {
  command = plan

  assert {
    condition     = keys(module.function) == keys(local.catalogue.functions) && keys(module.job) == keys(local.catalogue.jobs) && keys(module.schedule) == keys(local.catalogue.schedules)
    error_message = "Every function, job and schedule of the catalogue, and no other."
  }

  assert {
    condition     = module.function["batch_predict"].name == "mlengine-batch-predict" && module.job["train"].name == "mlengine-train"
    error_message = "The platform's names have '-' for '_'."
  }

  assert {
    condition = alltrue([
      for name, entry in local.functions : length(setsubtract(
        concat(local.catalogue.every_function.publishes, local.catalogue.every_function.settings, local.catalogue.every_function.secrets),
        concat(entry.publishes, entry.settings, entry.secrets),
      )) == 0
    ])
    error_message = "Each function has what every function has."
  }

  assert {
    condition     = contains(local.functions["fetch"].publishes, "candles.updated") && alltrue([for entry in local.functions : length(entry.publishes) == length(distinct(entry.publishes))])
    error_message = "And its own besides, once."
  }

  assert {
    condition     = alltrue([for key, environment in local.environments : environment["TRUSTED_PROXIES"] == "1" if startswith(key, "fn-")])
    error_message = "At its own address, Cloud Run alone says who calls."
  }

  assert {
    condition     = contains(keys(local.event_schemas), "predictions.made") && length(setsubtract(keys(local.event_schemas), local.topics)) == 0
    error_message = "Each schema is a topic's."
  }

  assert {
    condition     = contains([for key, workload in local.workloads : key if contains(workload.publishes, "predictions.made")], "fn-predict")
    error_message = "What the catalogue lists under 'publishes' is granted on the topic."
  }

  assert {
    condition     = !contains(local.topics, "dead.letters") && contains(local.topics, "training.requested")
    error_message = "Dead letters have a topic apart from those that give up to it."
  }

  assert {
    condition     = local.folder_grants["job-train writes models: roles/storage.objectCreator"].member == "serviceAccount:mlengine-job-train@demo-project.iam.gserviceaccount.com"
    error_message = "Training adds models."
  }

  assert {
    condition     = length([for name, grant in local.folder_grants : name if grant.folder == "models" && strcontains(grant.role, "BlobRemover")]) == 0
    error_message = "Nobody deletes models."
  }

  assert {
    condition     = length(local.callers) == 0
    error_message = "Without 'public' and 'invokers' only Pub/Sub calls functions."
  }

  assert {
    condition     = alltrue([for name in keys(local.takes) : local.environments["fn-${name}"].INVOKERS_CHECKED == "true"])
    error_message = "Cloud Run has verified every token where not everybody may call."
  }
}

run "variables_do_what_they_say" {
  command = plan

  variables {
    domain           = "engine.example.com"
    public           = true
    invokers         = { apps = "group:apps@example.com" }
    settings         = { BATCH_MAX_SYMBOLS = "50", LOG_LEVEL = "WARNING", OPEN_ROUTES = "GET /predict" }
    optional_secrets = ["SLACK_WEBHOOK_URL"]
    event_schemas    = false
  }

  assert {
    condition     = length(local.event_schemas) == 0
    error_message = "Pub/Sub takes what it is given where nobody wants it to check."
  }

  assert {
    condition     = local.environments["fn-batch_predict"]["BATCH_MAX_SYMBOLS"] == "50" && !contains(keys(local.environments["fn-predict"]), "BATCH_MAX_SYMBOLS")
    error_message = "A setting goes to the functions that the catalogue lists it for."
  }

  assert {
    condition     = alltrue([for environment in local.environments : environment["LOG_LEVEL"] == "WARNING" && environment["PLATFORM"] == "gcp" && environment["BLOBS_URL"] == "gs://demo-project-mlengine"])
    error_message = "The platform's settings go to all."
  }

  assert {
    condition     = local.environments["fn-fetch"]["MARKET_DATA_URL"] == "https://market-data.example.com" && !contains(keys(local.environments["fn-docs"]), "MARKET_DATA_URL")
    error_message = "The upstream is known to who asks it."
  }

  assert {
    condition     = module.secret["SLACK_WEBHOOK_URL"].name == "slack-webhook-url" && length([for key, workload in local.workloads : key if contains(workload.secrets, "SLACK_WEBHOOK_URL")]) == 1
    error_message = "It is made, for who tells Slack."
  }

  assert {
    condition     = !contains(keys(module.secret), "REDIS_URL") && length([for key, workload in local.workloads : key if contains(workload.secrets, "REDIS_URL")]) == 0
    error_message = "Those that nobody named are neither made nor attached: a reference without a value stops the function."
  }

  assert {
    condition     = local.environments["fn-predict"]["TRUSTED_PROXIES"] == "2" && local.ingress == "ALLOW_INTERNAL_AND_GCLB"
    error_message = "Behind it, the caller is who it says; so nobody comes in beside it."
  }

  assert {
    condition     = local.environments["fn-predict"]["OPEN_ROUTES"] == "GET /predict" && !contains(keys(local.environments["fn-audit"]), "OPEN_ROUTES")
    error_message = "Who takes events only has no routes to open, and wouldn't start."
  }

  assert {
    condition     = local.callers == tomap({ everybody = "allUsers" })
    error_message = "Who is everybody needs no names."
  }

  assert {
    condition = (
      local.environments["fn-fetch"].INVOKERS_CHECKED == "false" &&
      local.environments["fn-audit"].INVOKERS_CHECKED == "true"
    )
    error_message = "A function that everybody may call must verify tokens itself; one without routes is never open."
  }
}

# One rule each, and a plan of everything each: together they take a second instead of a quarter of a minute.
# A rule that lets its value pass is named all the same.
run "refuses_each_wrong_value" {
  command = plan

  variables {
    project_id       = "123456789012"
    environment      = "test"
    region           = "europe-west1-b"
    prefix           = "machine-learning-"
    labels           = { Team = "research" }
    market_data_url  = "http://market-data.example.com"
    settings         = { PLATFORM = "local" }
    job_image        = "europe-west1-docker.pkg.dev/demo-project/mlengine-jobs/jobs:latest"
    invokers         = { all = "allUsers" }
    ingress          = "all"
    min_instances    = { guess = 1 }
    optional_secrets = ["ADMIN_API_KEY"]
    blob_expiry_days = { models = 90 }
  }

  expect_failures = [
    var.project_id,
    var.environment,
    var.region,
    var.prefix,
    var.labels,
    var.market_data_url,
    var.settings,
    var.job_image,
    var.invokers,
    var.ingress,
    var.min_instances,
    var.optional_secrets,
    var.blob_expiry_days,
  ]
}

run "refuses_production_without_protection" {
  command = plan

  variables {
    environment = "production"
  }

  expect_failures = [var.deletion_protection]
}

run "refuses_a_way_around_the_front_door" {
  command = plan

  variables {
    domain  = "engine.example.com"
    ingress = "ALLOW_ALL"
  }

  expect_failures = [var.domain]
}

run "refuses_open_routes_where_nobody_gets_in" {
  command = plan

  variables {
    settings = { OPEN_ROUTES = "GET /predict" }
  }

  expect_failures = [var.settings]
}
