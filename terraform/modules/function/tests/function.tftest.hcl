mock_provider "google" {}

variables {
  project_id            = "demo-project"
  region                = "europe-west1"
  name                  = "mlengine-batch-predict"
  purpose               = "Predicts."
  source_zip            = "tests/function.tftest.hcl" # any file will do: it is only read
  source_bucket         = "demo-project-mlengine-bundles"
  docker_repository     = "projects/demo-project/locations/europe-west1/repositories/mlengine-functions"
  build_service_account = "projects/demo-project/serviceAccounts/mlengine-build@demo-project.iam.gserviceaccount.com"
  service_account_email = "mlengine-fn-batch-predict@demo-project.iam.gserviceaccount.com"
  memory_mb             = 512
  cpu                   = 1
  concurrency           = 80
  max_instances         = 20
  timeout_seconds       = 60
  environment           = { LOG_LEVEL = "INFO" }
  secrets               = { ADMIN_API_KEY = "admin-api-key" }
  invokers              = { push = "serviceAccount:push@demo-project.iam.gserviceaccount.com" }
}

run "the_bundle_is_named_by_its_content" {
  command = plan

  assert {
    condition     = google_storage_bucket_object.source.name == "mlengine-batch-predict/${filesha256("tests/function.tftest.hcl")}.zip"
    error_message = "A changed bundle has another name."
  }

  assert {
    condition     = google_cloudfunctions2_function.this.build_config[0].source[0].storage_source[0].object == google_storage_bucket_object.source.name
    error_message = "The function is built of the bundle that is uploaded."
  }
}

run "it_serves_by_asgi_with_its_own_account_and_settings" {
  command = plan

  assert {
    condition     = google_cloudfunctions2_function.this.service_config[0].environment_variables == tomap({ LOG_LEVEL = "INFO", FUNCTION_USE_ASGI = "true" })
    error_message = "Its settings, and the server."
  }

  assert {
    condition     = google_cloudfunctions2_function.this.service_config[0].service_account_email == var.service_account_email && google_cloudfunctions2_function.this.build_config[0].service_account == var.build_service_account
    error_message = "It runs as one account and is built by another."
  }
}

run "a_secret_is_a_reference" {
  command = plan

  assert {
    condition     = google_cloudfunctions2_function.this.service_config[0].secret_environment_variables[0].secret == "admin-api-key" && google_cloudfunctions2_function.this.service_config[0].secret_environment_variables[0].version == "latest"
    error_message = "The function names the secret, and holds no value."
  }
}

run "invokers_are_bound_on_the_service" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service_iam_member.invoker["push"].name == "mlengine-batch-predict" && google_cloud_run_v2_service_iam_member.invoker["push"].role == "roles/run.invoker"
    error_message = "The binding is on the Cloud Run service of the function's name."
  }
}

run "refuses_an_underscore" {
  command = plan

  variables {
    name = "batch_predict"
  }

  expect_failures = [var.name]
}

run "refuses_an_unknown_runtime" {
  command = plan

  variables {
    runtime = "python39"
  }

  expect_failures = [var.runtime]
}

run "refuses_little_memory" {
  command = plan

  variables {
    memory_mb = 64
  }

  expect_failures = [var.memory_mb]
}

run "refuses_three_cpus" {
  command = plan

  variables {
    cpu = 3
  }

  expect_failures = [var.cpu]
}

run "refuses_no_concurrency" {
  command = plan

  variables {
    concurrency = 0
  }

  expect_failures = [var.concurrency]
}

run "refuses_concurrency_on_part_of_a_cpu" {
  command = plan

  variables {
    cpu = 0.5
  }

  expect_failures = [var.concurrency]
}

run "refuses_more_warm_instances_than_there_may_be" {
  command = plan

  variables {
    min_instances = 21
  }

  expect_failures = [var.min_instances]
}

run "refuses_no_limit_of_instances" {
  command = plan

  variables {
    max_instances = 5000
  }

  expect_failures = [var.max_instances]
}

run "refuses_a_long_timeout" {
  command = plan

  variables {
    timeout_seconds = 4000
  }

  expect_failures = [var.timeout_seconds]
}

run "refuses_events_that_take_longer_than_pubsub_waits" {
  command = plan

  variables {
    takes_events    = true
    timeout_seconds = 900
  }

  expect_failures = [var.timeout_seconds]
}

run "refuses_an_unknown_ingress" {
  command = plan

  variables {
    ingress = "all"
  }

  expect_failures = [var.ingress]
}

run "refuses_the_platforms_own_variables" {
  command = plan

  variables {
    environment = { PORT = "8080" }
  }

  expect_failures = [var.environment]
}

run "refuses_a_setting_that_is_a_secret" {
  command = plan

  variables {
    environment = { ADMIN_API_KEY = "a value in the clear" }
  }

  expect_failures = [var.secrets]
}

run "refuses_everybody_with_an_account" {
  command = plan

  variables {
    invokers = { all = "allAuthenticatedUsers" }
  }

  expect_failures = [var.invokers]
}

run "refuses_a_missing_bundle" {
  command = plan

  variables {
    source_zip = "no/such/bundle.zip"
  }

  expect_failures = [var.source_zip]
}
