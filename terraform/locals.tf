locals {
  catalogue   = yamldecode(file("${path.module}/../functions/catalogue.yaml"))
  permissions = yamldecode(file("${path.module}/permissions.yaml"))
  firestore   = jsondecode(file("${path.module}/../infra/firestore.indexes.json"))

  # Each function has its own, and what every function has.
  functions = { for name, entry in local.catalogue.functions : name => merge(entry, {
    for list in ["publishes", "settings", "secrets", "optional_secrets"] :
    list => distinct(concat(try(entry[list], []), try(local.catalogue.every_function[list], [])))
  }) }
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
      publishes = entry.publishes
      runs      = try(entry.runs, [])
      settings  = entry.settings
      secrets   = concat(entry.secrets, [for name in entry.optional_secrets : name if contains(var.optional_secrets, name)])
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
      settings  = try(job.settings, [])
      secrets   = concat(job.secrets, [for name in try(job.optional_secrets, []) : name if contains(var.optional_secrets, name)])
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

  # Topic -> what Pub/Sub checks its events against.
  event_schemas = var.event_schemas ? {
    for name in fileset("${path.module}/schemas", "*.avsc") : trimsuffix(name, ".avsc") => file("${path.module}/schemas/${name}")
  } : {}

  # Settings: those of the platform for all, the others for who reads them.
  settable = toset(concat(
    ["LOG_LEVEL", "PLATFORM_TIMEOUT_SECONDS"],
    [for name in flatten([for entry in local.functions : entry.settings]) : name if !contains(local.derived, name)],
    [for name in flatten([for job in local.jobs : try(job.settings, [])]) : name if !contains(local.derived, name)],
  ))
  derived = ["MARKET_DATA_URL", "EVENT_SENDERS", "INVOKERS_CHECKED", "TRUSTED_PROXIES"]
  settings = merge(var.settings, {
    MARKET_DATA_URL = var.market_data_url
    # Cloud Run's own front end says whom it heard from, and before it the load balancer.
    TRUSTED_PROXIES = var.domain == null ? "1" : "2"
  })
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
    {
      for name in workload.settings : name => local.settings[name]
      if contains(keys(local.settings), name) && !(name == "OPEN_ROUTES" && !contains(local.callable, key))
    },
    local.platform_settings,
    lookup(local.event_settings, key, {}),
  ) }

  # What people and programs call. Routes can be open at none of the others.
  callable = [for name, entry in local.functions : "fn-${name}" if try(entry.routes, null) != null]

  # Who takes events verifies the pushes' tokens itself, unless Cloud Run has done it: where not everybody
  # may call, it lets only invokers in, and takes the signature off.
  event_settings = { for name in keys(local.takes) : "fn-${name}" => {
    EVENT_SENDERS    = module.push_account.email
    INVOKERS_CHECKED = tostring(!(var.public && try(local.functions[name].routes, null) != null))
  } }

  # Behind the load balancer nobody walks around it: then it says who calls, and refuses whom it has to.
  ingress = var.domain == null ? "ALLOW_ALL" : "ALLOW_INTERNAL_AND_GCLB"

  # What may be attached, and is where a value is wanted.
  optional_secrets = toset(flatten([
    [for entry in local.functions : entry.optional_secrets],
    [for job in local.jobs : try(job.optional_secrets, [])],
  ]))

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
    } if contains(keys(local.permissions.may), word) && try(local.permissions.may[word].scope, "") != "itself"
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
