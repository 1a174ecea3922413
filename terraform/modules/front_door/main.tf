# The front door: one address for all functions, over HTTPS alone.
#
# What infra/local/gateway.py is in the twin, the URL map is here: a path belongs to one function whatever
# the method, fixed paths win over templates, and what is nobody's goes to the default function, which
# answers 404.

locals {
  # A function that no path leads to has no place in a load balancer.
  backends = {
    for name, function in var.functions : name => function.service
    if length(function.routes) > 0 || name == var.default_function
  }

  # Path -> function. A parameter is one part of the path, whatever its name, with what is written behind it:
  # a template of the load balancer has whole parts only.
  paths = merge([
    for name, function in var.functions : {
      for path in distinct([for route in function.routes : replace(split(" ", route)[1], "/\\{\\w+\\}[^/]*/", "*")]) : path => name
    }
  ]...)
  fixed     = [for path in sort(keys(local.paths)) : path if !strcontains(path, "*")]
  templates = [for path in sort(keys(local.paths)) : path if strcontains(path, "*")]

  # In this order. Each is matched bare and below the prefix, and with a slash at its end as without.
  rules = [
    for path in concat(local.fixed, local.templates) : {
      function    = local.paths[path]
      is_template = strcontains(path, "*")
      matches = compact(flatten([
        for prefix in ["", var.api_prefix] : [
          for end in ["", "/"] : "${prefix}${trimsuffix(path, "/")}${end}"
        ]
      ]))
    }
  ]

  # As the ids will be, but known beforehand: so a plan shows which path leads where.
  backend_ids = {
    for name, backend in google_compute_backend_service.this :
    name => "projects/${var.project_id}/global/backendServices/${backend.name}"
  }
}

resource "google_compute_global_address" "this" {
  project = var.project_id
  name    = var.name
}

# One group and one backend for each function: the URL map chooses among backends.
resource "google_compute_region_network_endpoint_group" "this" {
  for_each = local.backends

  project               = var.project_id
  region                = var.region
  name                  = "${var.name}-${replace(each.key, "_", "-")}"
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = each.value
  }
}

resource "google_compute_backend_service" "this" {
  for_each = local.backends

  project               = var.project_id
  name                  = "${var.name}-${replace(each.key, "_", "-")}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  security_policy       = google_compute_security_policy.this.id

  backend {
    group = google_compute_region_network_endpoint_group.this[each.key].id
  }

  log_config {
    enable      = var.log_sample_rate > 0
    sample_rate = var.log_sample_rate
  }

  # The backend of a function that is gone can be deleted once the URL map has forgotten it, not before.
  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_url_map" "this" {
  project         = var.project_id
  name            = var.name
  default_service = local.backend_ids[var.default_function]

  # Browsers then never ask for this domain over plain HTTP again, for a year.
  header_action {
    response_headers_to_add {
      header_name  = "Strict-Transport-Security"
      header_value = "max-age=31536000"
      replace      = true
    }
  }

  host_rule {
    hosts        = [var.domain]
    path_matcher = "routes"
  }

  path_matcher {
    name            = "routes"
    default_service = local.backend_ids[var.default_function]

    dynamic "route_rules" {
      for_each = local.rules

      content {
        priority = route_rules.key + 1
        service  = local.backend_ids[route_rules.value.function]

        dynamic "match_rules" {
          for_each = route_rules.value.matches

          content {
            full_path_match     = route_rules.value.is_template ? null : match_rules.value
            path_template_match = route_rules.value.is_template ? match_rules.value : null
          }
        }
      }
    }
  }
}

resource "google_compute_managed_ssl_certificate" "this" {
  project = var.project_id
  # Domains can't be changed, and a certificate in use can't be deleted: another domain is another certificate.
  name = "${var.name}-${substr(sha256(var.domain), 0, 8)}"

  managed {
    domains = [var.domain]
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_ssl_policy" "this" {
  project         = var.project_id
  name            = var.name
  profile         = "RESTRICTED"
  min_tls_version = "TLS_1_2"
}

resource "google_compute_target_https_proxy" "this" {
  project          = var.project_id
  name             = var.name
  url_map          = google_compute_url_map.this.id
  ssl_certificates = [google_compute_managed_ssl_certificate.this.id]
  ssl_policy       = google_compute_ssl_policy.this.id
}

resource "google_compute_global_forwarding_rule" "https" {
  project               = var.project_id
  name                  = "${var.name}-https"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.this.id
  port_range            = "443"
  target                = google_compute_target_https_proxy.this.id
}

# Plain HTTP is answered with the way to HTTPS, and with nothing else.
resource "google_compute_url_map" "redirect" {
  project = var.project_id
  name    = "${var.name}-redirect"

  default_url_redirect {
    https_redirect         = true
    redirect_response_code = "PERMANENT_REDIRECT"
    strip_query            = false
  }
}

resource "google_compute_target_http_proxy" "redirect" {
  project = var.project_id
  name    = "${var.name}-redirect"
  url_map = google_compute_url_map.redirect.id
}

resource "google_compute_global_forwarding_rule" "redirect" {
  project               = var.project_id
  name                  = "${var.name}-redirect"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.this.id
  port_range            = "80"
  target                = google_compute_target_http_proxy.redirect.id
}
