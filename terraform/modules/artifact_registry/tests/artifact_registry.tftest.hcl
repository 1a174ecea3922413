mock_provider "google" {}

variables {
  project_id = "demo-project"
  location   = "europe-west1"
  name       = "mlengine-jobs"
  purpose    = "The jobs' image."
  grants = {
    build = { role = "roles/artifactregistry.writer", member = "serviceAccount:a@b.c" }
  }
}

run "images_are_pushed_where_the_repository_is" {
  command = plan

  assert {
    condition     = output.url == "europe-west1-docker.pkg.dev/demo-project/mlengine-jobs"
    error_message = "The address is made of region, project and name."
  }

  assert {
    condition     = google_artifact_registry_repository_iam_member.grant["build"].repository == google_artifact_registry_repository.this.repository_id
    error_message = "The grant is on this repository alone."
  }
}

run "the_last_images_stay" {
  command = plan

  assert {
    condition     = flatten([for policy in google_artifact_registry_repository.this.cleanup_policies : policy.most_recent_versions[*].keep_count if policy.action == "KEEP"]) == [10]
    error_message = "The newest versions are kept whatever their age."
  }
}

run "old_images_can_be_deleted" {
  command = plan

  assert {
    condition     = !google_artifact_registry_repository.this.docker_config[0].immutable_tags
    error_message = "A tag that can't be moved keeps its image for ever."
  }
}

run "refuses_a_name_with_underscores" {
  command = plan

  variables {
    name = "mlengine_jobs"
  }

  expect_failures = [var.name]
}

run "refuses_no_way_back" {
  command = plan

  variables {
    keep_images = 1
  }

  expect_failures = [var.keep_images]
}

run "refuses_no_days" {
  command = plan

  variables {
    delete_after_days = 0
  }

  expect_failures = [var.delete_after_days]
}

run "refuses_everybody" {
  command = plan

  variables {
    grants = { all = { role = "roles/artifactregistry.reader", member = "allUsers" } }
  }

  expect_failures = [var.grants]
}
