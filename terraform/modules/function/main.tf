locals {
  source_hash = filesha256(var.source_zip)

  # functions-framework's command starts its ASGI server: Starlette on uvicorn, with uvloop and httptools.
  # The buildpack of Python functions makes that command the container's, whatever a Procfile or
  # GOOGLE_ENTRYPOINT says, so the server is chosen by this variable.
  server_environment = { FUNCTION_USE_ASGI = "true" }
}

# Named by its content: the same bundle deploys nothing, and every bundle that was deployed can be told.
resource "google_storage_bucket_object" "source" {
  bucket       = var.source_bucket
  name         = "${var.name}/${local.source_hash}.zip"
  source       = var.source_zip
  content_type = "application/zip"

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_cloudfunctions2_function" "this" {
  #checkov:skip=CKV_GCP_124:the default is what an API needs; who may call is decided by IAM, and var.ingress closes it
  project     = var.project_id
  location    = var.region
  name        = var.name
  description = var.purpose

  build_config {
    runtime           = var.runtime
    entry_point       = "main"
    service_account   = var.build_service_account
    docker_repository = var.docker_repository

    # A bundle brings its locked functions-framework: none other may be put in its place. With the epoch set,
    # the build compiles to .pyc files that are checked by content: those checked by time are all stale in the
    # image, whose files' times are reset, and then every start compiles anew.
    environment_variables = {
      GOOGLE_SKIP_FRAMEWORK_INJECTION = "True"
      SOURCE_DATE_EPOCH               = "315619200"
    }

    source {
      storage_source {
        bucket = google_storage_bucket_object.source.bucket
        object = google_storage_bucket_object.source.name
      }
    }

    # Security fixes of the base image arrive without a deployment.
    automatic_update_policy {}
  }

  service_config {
    service_account_email            = var.service_account_email
    available_memory                 = "${var.memory_mb}Mi"
    available_cpu                    = tostring(var.cpu)
    max_instance_request_concurrency = var.concurrency
    min_instance_count               = var.min_instances
    max_instance_count               = var.max_instances
    timeout_seconds                  = var.timeout_seconds
    ingress_settings                 = var.ingress
    all_traffic_on_latest_revision   = true
    environment_variables            = merge(var.environment, local.server_environment)

    dynamic "secret_environment_variables" {
      for_each = var.secrets

      content {
        key        = secret_environment_variables.key
        project_id = var.project_id
        secret     = secret_environment_variables.value
        version    = "latest"
      }
    }
  }
}

# On the Cloud Run service: a function of this generation has no invoker of its own.
resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = var.invokers

  project  = var.project_id
  location = var.region
  name     = google_cloudfunctions2_function.this.name
  role     = "roles/run.invoker"
  member   = each.value
}
