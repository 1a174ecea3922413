data "google_project" "this" {
  project_id = var.project_id
}

module "project_services" {
  source = "./modules/project_services"

  project_id = var.project_id
  services = [
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
  ]
}

# Who: an account for each function and job, one that pushes events, one that builds.

module "custom_role" {
  source   = "./modules/custom_role"
  for_each = local.permissions.custom_roles

  project_id  = var.project_id
  role_id     = each.value.id
  title       = each.value.title
  why         = each.value.why
  permissions = each.value.permissions

  depends_on = [module.project_services]
}

module "workload_account" {
  source   = "./modules/service_account"
  for_each = local.workloads

  project_id = var.project_id
  account_id = local.account_ids[each.key]
  purpose    = each.value.purpose
  roles      = local.project_roles[each.key]

  depends_on = [module.project_services]
}

module "push_account" {
  source = "./modules/service_account"

  project_id = var.project_id
  account_id = "${var.prefix}push"
  purpose    = "Pub/Sub calls the functions that take events as this account."

  depends_on = [module.project_services]
}

module "build_account" {
  source = "./modules/service_account"

  project_id = var.project_id
  account_id = "${var.prefix}build"
  purpose    = "Builds the functions' images."

  roles = {
    build_logs = {
      role = local.permissions.platform.build_logs.role
      why  = local.permissions.platform.build_logs.why
    }
    build_sources = {
      role = local.permissions.platform.build_sources.role
      why  = local.permissions.platform.build_sources.why
      condition = {
        title      = "copied bundles"
        expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${data.google_project.this.number}-\")"
      }
    }
  }

  depends_on = [module.project_services]
}

resource "google_service_account_iam_member" "signs" {
  for_each = toset([for key, workload in local.workloads : key if contains(workload.may, "blobs.sign")])

  service_account_id = module.workload_account[each.key].id
  role               = local.role_names[local.permissions.may["blobs.sign"].role]
  member             = module.workload_account[each.key].member
}

resource "google_service_account_iam_member" "push_token" {
  service_account_id = module.push_account.id
  role               = local.permissions.platform.push_token.role
  member             = local.pubsub_agent
}

# Where data rests.

module "firestore" {
  source = "./modules/firestore"

  project_id             = var.project_id
  name                   = var.firestore_database
  location               = var.region
  indexes                = local.firestore.indexes
  field_overrides        = local.firestore.fieldOverrides
  point_in_time_recovery = var.point_in_time_recovery
  backup_days            = var.backup_days
  deletion_protection    = var.deletion_protection

  depends_on = [module.project_services]
}

module "blobs" {
  source = "./modules/bucket"

  project_id    = var.project_id
  name          = "${var.project_id}-mlengine"
  location      = var.region
  expiry_days   = var.blob_expiry_days
  force_destroy = !var.deletion_protection
  grants        = local.folder_grants

  depends_on = [module.project_services]
}

module "bundles" {
  source = "./modules/bucket"

  project_id = var.project_id
  name       = "${var.project_id}-mlengine-bundles"
  location   = var.region

  # A bundle is made again from its commit, byte by byte.
  force_destroy = true

  depends_on = [module.project_services]
}

module "secret" {
  source   = "./modules/secret"
  for_each = local.secrets

  project_id          = var.project_id
  location            = var.region
  name                = each.value
  deletion_protection = var.deletion_protection
  accessors = {
    for key, workload in local.workloads : key => module.workload_account[key].member
    if contains(workload.secrets, each.key)
  }

  depends_on = [module.project_services]
}

# What runs.

module "function_images" {
  source = "./modules/artifact_registry"

  project_id  = var.project_id
  location    = var.region
  name        = "${var.prefix}functions"
  purpose     = "The images that the functions' bundles are built into."
  keep_images = 5
  grants = {
    build = { role = local.permissions.platform.build_images.role, member = module.build_account.member }
  }

  depends_on = [module.project_services]
}

module "job_images" {
  source = "./modules/artifact_registry"

  project_id = var.project_id
  location   = var.region
  name       = "${var.prefix}jobs"
  purpose    = "The jobs' image."

  depends_on = [module.project_services]
}

module "function" {
  source   = "./modules/function"
  for_each = local.functions

  project_id            = var.project_id
  region                = var.region
  name                  = local.function_names[each.key]
  purpose               = each.value.purpose
  source_zip            = "${path.module}/${var.bundles_dir}/${each.key}.zip"
  source_bucket         = module.bundles.name
  docker_repository     = module.function_images.id
  build_service_account = module.build_account.id
  service_account_email = module.workload_account["fn-${each.key}"].email
  memory_mb             = each.value.memory_mb
  cpu                   = each.value.cpu
  concurrency           = each.value.concurrency
  min_instances         = lookup(var.min_instances, each.key, try(each.value.min_instances, 0))
  max_instances         = each.value.max_instances
  timeout_seconds       = each.value.timeout_seconds
  takes_events          = contains(keys(local.takes), each.key)
  ingress               = try(each.value.routes, null) == null ? "ALLOW_INTERNAL_ONLY" : coalesce(var.ingress, local.ingress)
  environment           = local.environments["fn-${each.key}"]
  secrets               = { for name in local.workloads["fn-${each.key}"].secrets : name => module.secret[name].name }
  invokers = merge(
    contains(keys(local.takes), each.key) ? { push = module.push_account.member } : {},
    try(each.value.routes, null) == null ? {} : local.callers,
  )
}

module "job" {
  source   = "./modules/job"
  for_each = local.jobs

  project_id            = var.project_id
  region                = var.region
  name                  = local.job_names[each.key]
  module                = "shared.jobs.${each.key}"
  image                 = var.job_image
  service_account_email = module.workload_account["job-${each.key}"].email
  memory_mb             = each.value.memory_mb
  cpu                   = each.value.cpu
  retries               = each.value.retries
  timeout_seconds       = each.value.timeout_seconds
  environment           = local.environments["job-${each.key}"]
  secrets               = { for name in local.workloads["job-${each.key}"].secrets : name => module.secret[name].name }
  deletion_protection   = var.deletion_protection
  starter_role          = module.custom_role["job_starter"].name
  starters = {
    for key, workload in local.workloads : key => module.workload_account[key].member
    if contains(workload.runs, each.key)
  }

  depends_on = [module.project_services]
}

# What happens: events, dead letters, schedules.

module "topic" {
  source   = "./modules/topic"
  for_each = local.topics

  project_id        = var.project_id
  region            = var.region
  name              = each.key
  avro_schema       = lookup(local.event_schemas, each.key, null)
  dead_letter_topic = module.dead_letters.id
  pubsub_agent      = local.pubsub_agent
  publishers = {
    for key, workload in local.workloads : key => module.workload_account[key].member
    if contains(workload.publishes, each.key)
  }
  subscriptions = {
    for name, topic in local.takes : name => {
      endpoint              = module.function[name].uri
      service_account_email = module.push_account.email
    } if topic == each.key
  }

  depends_on = [module.project_services, google_service_account_iam_member.push_token]
}

# Apart from the others, which give up to it. Its own events are tried for ever.
module "dead_letters" {
  source = "./modules/topic"

  project_id   = var.project_id
  region       = var.region
  name         = local.dead_letters
  pubsub_agent = local.pubsub_agent
  publishers   = { pubsub = local.pubsub_agent }
  subscriptions = {
    for name, topic in local.takes : name => {
      endpoint              = module.function[name].uri
      service_account_email = module.push_account.email
      gives_up              = false
    } if topic == local.dead_letters
  }

  depends_on = [module.project_services, google_service_account_iam_member.push_token]
}

module "schedule" {
  source   = "./modules/schedule"
  for_each = local.schedules

  project_id = var.project_id
  region     = var.region
  name       = "${var.prefix}${each.key}"
  purpose    = each.value.purpose
  cron       = each.value.cron
  timezone   = each.value.timezone
  topic      = module.topic[each.value.topic].id
  data       = each.value.data
  paused     = var.schedules_paused

  depends_on = [module.project_services]
}
