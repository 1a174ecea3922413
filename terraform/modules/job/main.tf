resource "google_cloud_run_v2_job" "this" {
  project             = var.project_id
  location            = var.region
  name                = var.name
  deletion_protection = var.deletion_protection

  template {
    # Who starts an execution says how many tasks it has, and all run at the same time: an execution with fewer
    # tasks than a job's `parallelism` is refused.
    task_count = 1

    template {
      service_account = var.service_account_email
      max_retries     = var.retries
      timeout         = "${var.timeout_seconds}s"

      containers {
        image = var.image
        # A start adds the arguments.
        command = ["python", "-m", var.module]

        resources {
          limits = {
            cpu    = tostring(var.cpu)
            memory = "${var.memory_mb}Mi"
          }
        }

        dynamic "env" {
          # A task has to know whether another attempt follows, and the platform doesn't tell.
          for_each = merge(var.environment, { MLENGINE_TASK_RETRIES = tostring(var.retries) })

          content {
            name  = env.key
            value = env.value
          }
        }

        dynamic "env" {
          for_each = var.secrets

          content {
            name = env.key

            value_source {
              secret_key_ref {
                secret  = env.value
                version = "latest"
              }
            }
          }
        }
      }
    }
  }
}

resource "google_cloud_run_v2_job_iam_member" "starter" {
  for_each = var.starters

  project  = var.project_id
  location = var.region
  name     = google_cloud_run_v2_job.this.name
  role     = var.starter_role
  member   = each.value
}
