output "functions" {
  description = "Function -> its name in the project, its address, and its routes (none: it takes events only)."
  value = { for name, entry in local.functions : name => {
    service = module.function[name].name
    url     = module.function[name].uri
    routes  = try(entry.routes, [])
  } }
}

output "jobs" {
  description = "Job -> its name in the project."
  value       = { for name, job in module.job : name => job.name }
}

output "topics" {
  description = "Topic -> its full name."
  value       = merge({ for name, topic in module.topic : name => topic.id }, { (local.dead_letters) = module.dead_letters.id })
}

output "subscriptions" {
  description = "The subscriptions that push to functions, each called as its function."
  value       = sort(flatten([[for topic in module.topic : topic.subscriptions], module.dead_letters.subscriptions]))
}

output "schedules" {
  description = "Schedule -> its name in the project."
  value       = { for name, schedule in module.schedule : name => schedule.name }
}

output "secrets" {
  description = "The secrets that wait for a value: 'gcloud secrets versions add <name> --data-file=-'."
  value       = { for name, secret in module.secret : name => secret.name }
}

output "blobs_url" {
  description = "The bucket of blobs."
  value       = module.blobs.url
}

output "job_repository" {
  description = "Where the jobs' image is pushed to."
  value       = module.job_images.url
}

output "accounts" {
  description = "What runs -> the account that it runs as."
  value       = { for key, account in module.workload_account : key => account.email }
}
