output "front_door" {
  description = "Where the engine answers, and the address that the domain's A record must have. Null without a domain."
  value = one([for door in module.front_door : {
    url         = door.url
    address     = door.address
    certificate = door.certificate
  }])
}

output "warehouse" {
  description = "Where predictions are asked for in SQL: the view has each once, the table as it was delivered."
  value       = { view = module.warehouse.view, table = module.warehouse.table }
}

output "dashboard" {
  description = "The dashboard in Cloud Monitoring."
  value       = module.monitoring.dashboard
}

output "policies" {
  description = "What people are told of: the titles of the runbook's sections."
  value       = module.monitoring.policies
}
