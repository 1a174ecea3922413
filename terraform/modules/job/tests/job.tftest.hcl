mock_provider "google" {}

variables {
  project_id            = "demo-project"
  region                = "europe-west1"
  name                  = "mlengine-train"
  module                = "shared.jobs.train"
  image                 = "europe-west1-docker.pkg.dev/demo-project/mlengine-jobs/jobs@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  service_account_email = "mlengine-job-train@demo-project.iam.gserviceaccount.com"
  memory_mb             = 4096
  cpu                   = 2
  retries               = 2
  timeout_seconds       = 7200
  environment           = { LOG_LEVEL = "INFO" }
  secrets               = { ADMIN_API_KEY = "admin-api-key" }
  starters              = { "fn-training" = "serviceAccount:mlengine-fn-training@demo-project.iam.gserviceaccount.com" }
  starter_role          = "projects/demo-project/roles/mlengineJobStarter"
  deletion_protection   = true
}

run "it_runs_its_module" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_job.this.template[0].template[0].containers[0].command == tolist(["python", "-m", "shared.jobs.train"])
    error_message = "The container runs the job's module; a start adds the arguments."
  }
}

run "a_task_knows_its_retries" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_job.this.template[0].template[0].max_retries == 2
    error_message = "The platform retries as often as it is told."
  }

  assert {
    condition     = contains([for variable in google_cloud_run_v2_job.this.template[0].template[0].containers[0].env : "${variable.name}=${variable.value}" if length(variable.value_source) == 0], "MLENGINE_TASK_RETRIES=2")
    error_message = "And the task is told the same number."
  }
}

run "a_secret_is_a_reference" {
  command = plan

  assert {
    condition     = flatten([for variable in google_cloud_run_v2_job.this.template[0].template[0].containers[0].env : variable.value_source[*].secret_key_ref[0].secret if variable.name == "ADMIN_API_KEY"]) == ["admin-api-key"]
    error_message = "The job names the secret, and holds no value."
  }
}

run "who_starts_it_starts_no_other" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_job_iam_member.starter["fn-training"].name == "mlengine-train" && google_cloud_run_v2_job_iam_member.starter["fn-training"].role == var.starter_role
    error_message = "The binding is on this job alone."
  }
}

run "refuses_an_underscore" {
  command = plan

  variables {
    name = "mlengine_train"
  }

  expect_failures = [var.name]
}

run "refuses_another_package" {
  command = plan

  variables {
    module = "os"
  }

  expect_failures = [var.module]
}

run "refuses_a_tag" {
  command = plan

  variables {
    image = "europe-west1-docker.pkg.dev/demo-project/mlengine-jobs/jobs:latest"
  }

  expect_failures = [var.image]
}

run "refuses_little_memory" {
  command = plan

  variables {
    memory_mb = 256
  }

  expect_failures = [var.memory_mb]
}

run "refuses_half_a_cpu" {
  command = plan

  variables {
    cpu = 0.5
  }

  expect_failures = [var.cpu]
}

run "refuses_many_retries" {
  command = plan

  variables {
    retries = 11
  }

  expect_failures = [var.retries]
}

run "refuses_more_than_a_week" {
  command = plan

  variables {
    timeout_seconds = 604801
  }

  expect_failures = [var.timeout_seconds]
}

run "refuses_a_setting_that_is_a_secret" {
  command = plan

  variables {
    environment = { ADMIN_API_KEY = "a value in the clear" }
  }

  expect_failures = [var.secrets]
}

run "refuses_a_person" {
  command = plan

  variables {
    starters = { someone = "user:someone@example.com" }
  }

  expect_failures = [var.starters]
}
