locals {
  catalogue   = yamldecode(file("${path.module}/../functions/catalogue.yaml"))
  permissions = yamldecode(file("${path.module}/permissions.yaml"))
  firestore   = jsondecode(file("${path.module}/../infra/firestore.indexes.json"))

  functions = local.catalogue.functions
  jobs      = local.catalogue.jobs
  schedules = local.catalogue.schedules

  labels = merge(var.labels, { app = "mlengine", environment = var.environment })

  # Everything that runs, and what the catalogue lets it do.
  workloads = merge(
    { for name, entry in local.functions : "fn-${name}" => {
      purpose = entry.purpose
      may     = entry.may
      folders = {
        reads   = try(entry.reads, [])
        writes  = try(entry.writes, [])
        deletes = try(entry.deletes, [])
      }
      publishes = try(entry.publishes, [])
      runs      = try(entry.runs, [])
      settings  = entry.settings
      secrets   = entry.secrets
    } },
    { for name, job in local.jobs : "job-${name}" => {
      purpose = job.purpose
      may     = job.may
      folders = {
        reads   = try(job.reads, [])
        writes  = try(job.writes, [])
        deletes = try(job.deletes, [])
      }
      publishes = try(job.publishes, [])
      runs      = []
      settings  = job.settings
      secrets   = job.secrets
    } },
  )

  # Names in the project: '_' is for the engine, '-' for the platform.
  account_ids    = { for key in keys(local.workloads) : key => "${var.prefix}${replace(key, "_", "-")}" }
  function_names = { for name in keys(local.functions) : name => "${var.prefix}${replace(name, "_", "-")}" }
  job_names      = { for name in keys(local.jobs) : name => "${var.prefix}${replace(name, "_", "-")}" }

  # A topic is there because somebody takes it, publishes on it or is made to by a schedule.
  dead_letters = "dead.letters"
  topics = setsubtract(toset(concat(
    flatten([for workload in local.workloads : workload.publishes]),
    [for schedule in local.schedules : schedule.topic],
    values(local.takes),
  )), [local.dead_letters])
  takes = { for name, entry in local.functions : name => entry.topic if try(entry.topic, null) != null }

  # Settings: those of the platform for all, the others for who reads them.
  settable = toset(concat(
    ["LOG_LEVEL", "PLATFORM_TIMEOUT_SECONDS"],
    [for name in flatten([for workload in local.workloads : workload.settings]) : name if !contains(local.derived, name)],
  ))
  derived  = ["MARKET_DATA_URL", "EVENT_SENDERS", "INVOKERS_CHECKED"]
  settings = merge(var.settings, { MARKET_DATA_URL = var.market_data_url })
  platform_settings = {
    ENV                      = var.environment
    LOG_LEVEL                = lookup(var.settings, "LOG_LEVEL", "INFO")
    PLATFORM                 = "gcp"
    GOOGLE_CLOUD_PROJECT     = var.project_id
    GOOGLE_CLOUD_REGION      = var.region
    FIRESTORE_DATABASE       = module.firestore.name
    BLOBS_URL                = module.blobs.url
    JOB_PREFIX               = var.prefix
    PLATFORM_TIMEOUT_SECONDS = lookup(var.settings, "PLATFORM_TIMEOUT_SECONDS", "10")
  }
  environments = { for key, workload in local.workloads : key => merge(
    { for name in workload.settings : name => local.settings[name] if contains(keys(local.settings), name) },
    local.platform_settings,
    lookup(local.event_settings, key, {}),
  ) }

  # Who takes events verifies the pushes' tokens itself, unless Cloud Run has done it: where not everybody
  # may call, it lets only invokers in, and takes the signature off.
  event_settings = { for name in keys(local.takes) : "fn-${name}" => {
    EVENT_SENDERS    = module.push_account.email
    INVOKERS_CHECKED = tostring(!(var.public && try(local.functions[name].routes, null) != null))
  } }

  # ADMIN_API_KEY in the environment is the secret admin-api-key.
  secrets = {
    for name in toset(flatten([for workload in local.workloads : workload.secrets])) :
    name => replace(lower(name), "_", "-")
  }

  # Roles on the project. Those on documents are for one database of it.
  in_database = {
    title      = "database ${var.firestore_database}"
    expression = "resource.name == \"projects/${var.project_id}/databases/${var.firestore_database}\""
  }
  project_roles = { for key, workload in local.workloads : key => {
    for word in workload.may : word => {
      role      = local.role_names[local.permissions.may[word].role]
      why       = local.permissions.may[word].why
      condition = local.permissions.may[word].scope == "database" ? local.in_database : null
    } if contains(keys(local.permissions.may), word)
  } }

  # Grants on folders of the bucket, one for each workload, list, folder and role.
  folder_grants = merge([for key, workload in local.workloads : merge([for list, folders in workload.folders : merge([
    for folder in folders : {
      for grant in local.permissions.lists[list] : "${key} ${list} ${folder}: ${grant.role}" => {
        role   = local.role_names[grant.role]
        member = module.workload_account[key].member
        why    = grant.why
        folder = folder
      }
    }]...)
  ]...)]...)

  # Predefined roles are called as they are; ours by their full names.
  role_names = merge(
    { for name in local.named_roles : name => name if startswith(name, "roles/") },
    { for name, role in module.custom_role : name => role.name },
  )
  named_roles = toset(concat(
    [for grant in local.permissions.may : grant.role],
    [for grant in flatten(values(local.permissions.lists)) : grant.role],
    [for grant in local.permissions.platform : grant.role],
  ))

  pubsub_agent = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"

  # Everybody, or those that are named: never both.
  callers = var.public ? { everybody = "allUsers" } : var.invokers
}
