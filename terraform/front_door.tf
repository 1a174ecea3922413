module "front_door" {
  source = "./modules/front_door"
  count  = var.domain == null ? 0 : 1

  project_id = var.project_id
  region     = var.region
  name       = trimsuffix(var.prefix, "-")
  domain     = var.domain
  rate_limit = var.rate_limit
  waf_rules  = var.waf_rules

  functions = { for name, entry in local.functions : name => {
    service = module.function[name].name
    routes  = try(entry.routes, [])
  } }

  depends_on = [module.operations_services]
}

# What only some environments use.
module "operations_services" {
  source = "./modules/project_services"

  project_id = var.project_id
  services = concat(
    var.domain == null ? [] : ["compute.googleapis.com"],
    var.billing_account == null ? [] : ["billingbudgets.googleapis.com"],
  )
}
