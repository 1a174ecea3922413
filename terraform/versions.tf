terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.46"
    }
  }

  # Which bucket, says 'terraform init -backend-config="bucket=..." -backend-config="prefix=mlengine"'.
  backend "gcs" {}
}

provider "google" {
  project        = var.project_id
  region         = var.region
  default_labels = local.labels
}

# The API of budgets wants to know on whose quota a person's call goes.
provider "google" {
  alias = "on_own_quota"

  project               = var.project_id
  region                = var.region
  default_labels        = local.labels
  billing_project       = var.project_id
  user_project_override = true
}
