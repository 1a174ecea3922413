# The bundles must be there: 'python -m infra.bundle' makes them.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
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
}

run "settings_go_to_who_reads_them" {
  command = plan

  variables {
    settings = { BATCH_MAX_SYMBOLS = "50", LOG_LEVEL = "WARNING" }
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
}

run "a_publisher_publishes_on_its_topics" {
  command = plan

  assert {
    condition     = contains([for key, workload in local.workloads : key if contains(workload.publishes, "predictions.made")], "fn-predict")
    error_message = "What the catalogue lists under 'publishes' is granted on the topic."
  }

  assert {
    condition     = !contains(local.topics, "dead.letters") && contains(local.topics, "training.requested")
    error_message = "Dead letters have a topic apart from those that give up to it."
  }
}

run "a_folder_is_granted_as_the_catalogue_says" {
  command = plan

  assert {
    condition     = local.folder_grants["job-train writes models: roles/storage.objectCreator"].member == "serviceAccount:mlengine-job-train@demo-project.iam.gserviceaccount.com"
    error_message = "Training adds models."
  }

  assert {
    condition     = length([for name, grant in local.folder_grants : name if grant.folder == "models" && strcontains(grant.role, "BlobRemover")]) == 0
    error_message = "Nobody deletes models."
  }
}

run "nobody_calls_it_unasked" {
  command = plan

  assert {
    condition     = length(local.callers) == 0
    error_message = "Without 'public' and 'invokers' only Pub/Sub calls functions."
  }
  assert {
    condition     = alltrue([for name in keys(local.takes) : local.environments["fn-${name}"].INVOKERS_CHECKED == "true"])
    error_message = "Cloud Run has verified every token where not everybody may call."
  }
}

run "everybody_may_call_when_told" {
  command = plan

  variables {
    public   = true
    invokers = { apps = "group:apps@example.com" }
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
