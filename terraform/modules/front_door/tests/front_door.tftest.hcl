mock_provider "google" {}

variables {
  project_id = "some-project"
  region     = "europe-west1"
  domain     = "engine.example.com"
  functions = {
    docs          = { service = "mlengine-docs", routes = ["GET /", "GET /docs", "GET /docs/assets/{file}"] }
    batch_predict = { service = "mlengine-batch-predict", routes = ["POST /predict/batch"] }
    scoring       = { service = "mlengine-scoring", routes = ["POST /predict/jobs", "GET /predict/jobs", "GET /predict/jobs/{scoring_id}"] }
    audit         = { service = "mlengine-audit", routes = [] }
  }
}

run "each_function_with_routes_is_a_backend" {
  command = plan

  assert {
    condition     = keys(google_compute_backend_service.this) == ["batch_predict", "docs", "scoring"]
    error_message = "A function without routes must not be behind the load balancer, and each other one must."
  }

  assert {
    condition     = google_compute_region_network_endpoint_group.this["batch_predict"].cloud_run[0].service == "mlengine-batch-predict"
    error_message = "A backend must lead to the function's Cloud Run service."
  }
}

run "fixed_paths_come_before_templates" {
  command = plan

  assert {
    condition = flatten([
      for rule in google_compute_url_map.this.path_matcher[0].route_rules : [
        for match in rule.match_rules : coalesce(match.full_path_match, match.path_template_match)
      ]
      ]) == [
      "/", "/api/v1", "/api/v1/",
      "/docs", "/docs/", "/api/v1/docs", "/api/v1/docs/",
      "/predict/batch", "/predict/batch/", "/api/v1/predict/batch", "/api/v1/predict/batch/",
      "/predict/jobs", "/predict/jobs/", "/api/v1/predict/jobs", "/api/v1/predict/jobs/",
      "/docs/assets/*", "/docs/assets/*/", "/api/v1/docs/assets/*", "/api/v1/docs/assets/*/",
      "/predict/jobs/*", "/predict/jobs/*/", "/api/v1/predict/jobs/*", "/api/v1/predict/jobs/*/",
    ]
    error_message = "Each path must be matched once, bare and below the prefix, fixed ones first."
  }

  assert {
    condition     = [for rule in google_compute_url_map.this.path_matcher[0].route_rules : rule.priority] == [1, 2, 3, 4, 5, 6]
    error_message = "Priorities must follow the order."
  }
}

run "backends_are_wired_to_their_groups_and_rules_to_backends" {
  assert {
    condition = alltrue([
      for name, backend in google_compute_backend_service.this :
      one(backend.backend).group == google_compute_region_network_endpoint_group.this[name].id
      && backend.security_policy == google_compute_security_policy.this.id
    ])
    error_message = "Each backend must be its function's group, behind the security policy."
  }

  assert {
    condition     = google_compute_url_map.this.path_matcher[0].route_rules[2].service == "projects/some-project/global/backendServices/${google_compute_backend_service.this["batch_predict"].name}"
    error_message = "A path must lead to its function."
  }

  assert {
    condition = (
      google_compute_url_map.this.default_service == "projects/some-project/global/backendServices/mlengine-docs"
      && google_compute_url_map.this.path_matcher[0].default_service == "projects/some-project/global/backendServices/mlengine-docs"
    )
    error_message = "What is nobody's must go to the default function."
  }

  assert {
    condition = (
      google_compute_global_forwarding_rule.https.target == google_compute_target_https_proxy.this.id
      && google_compute_target_https_proxy.this.url_map == google_compute_url_map.this.id
      && google_compute_target_https_proxy.this.ssl_certificates == tolist([google_compute_managed_ssl_certificate.this.id])
    )
    error_message = "Port 443 must lead through the certificate to the URL map."
  }

  assert {
    condition = (
      google_compute_target_http_proxy.redirect.url_map == google_compute_url_map.redirect.id
      && google_compute_url_map.redirect.default_url_redirect[0].https_redirect
    )
    error_message = "Port 80 must lead to HTTPS, and nowhere else."
  }
}

run "attacks_are_refused_before_requests_are_counted" {
  command = plan

  variables {
    rate_limit = { requests = 120 }
    waf_rules = {
      "sqli-v33-stable" = { sensitivity = 2, exclude = ["owasp-crs-v030301-id942432-sqli"] }
      "xss-v33-stable"  = { preview = true }
    }
  }

  assert {
    condition = [
      for rule in google_compute_security_policy.this.rule : try(rule.match[0].expr[0].expression, null)
      if rule.action == "deny(403)"
      ] == [
      "evaluatePreconfiguredWaf('sqli-v33-stable', {'sensitivity': 2, 'opt_out_rule_ids': ['owasp-crs-v030301-id942432-sqli']})",
      "evaluatePreconfiguredWaf('xss-v33-stable', {'sensitivity': 1})",
    ]
    error_message = "Each rule set must be asked as it is configured."
  }

  assert {
    condition = alltrue([
      for rule in google_compute_security_policy.this.rule : rule.priority < 2000 if rule.action == "deny(403)"
    ])
    error_message = "Refusals must come before the rule that lets pass."
  }

  assert {
    condition = one([
      for rule in google_compute_security_policy.this.rule : rule.rate_limit_options[0].rate_limit_threshold[0]
      if rule.action == "throttle"
    ]) == { count = 120, interval_sec = 60 }
    error_message = "The limit must be the one that was asked for."
  }
}

run "another_domain_is_another_certificate" {
  command = plan

  variables {
    domain = "other.example.com"
  }

  assert {
    condition     = google_compute_managed_ssl_certificate.this.name == "mlengine-${substr(sha256("other.example.com"), 0, 8)}"
    error_message = "The certificate's name must follow its domain."
  }
}

run "refuses_a_name_that_no_resource_may_have" {
  command = plan
  variables {
    name = "ML_Engine"
  }
  expect_failures = [var.name]
}

run "refuses_a_url_for_a_domain" {
  command = plan
  variables {
    domain = "https://engine.example.com/"
  }
  expect_failures = [var.domain]
}

run "refuses_a_route_that_isnt_one" {
  command = plan
  variables {
    functions = { docs = { service = "mlengine-docs", routes = ["GET /docs/*"] } }
  }
  expect_failures = [var.functions]
}

run "refuses_more_parameters_than_the_url_map_takes" {
  command = plan
  variables {
    functions = { docs = { service = "mlengine-docs", routes = ["GET /{a}/{b}/{c}/{d}/{e}/{f}"] } }
  }
  expect_failures = [var.functions]
}

run "refuses_a_path_of_two_functions" {
  command = plan
  variables {
    functions = {
      docs   = { service = "mlengine-docs", routes = ["GET /models/{id}"] }
      models = { service = "mlengine-models", routes = ["PUT /models/{name}"] }
    }
  }
  expect_failures = [var.functions]
}

run "refuses_a_default_function_that_isnt_there" {
  command = plan
  variables {
    default_function = "nobody"
  }
  expect_failures = [var.default_function]
}

run "refuses_a_prefix_with_a_slash_at_its_end" {
  command = plan
  variables {
    api_prefix = "/api/v1/"
  }
  expect_failures = [var.api_prefix]
}

run "refuses_a_limit_of_nothing" {
  command = plan
  variables {
    rate_limit = { requests = 0 }
  }
  expect_failures = [var.rate_limit]
}

run "refuses_a_period_that_isnt_counted_over" {
  command = plan
  variables {
    rate_limit = { period_seconds = 61 }
  }
  expect_failures = [var.rate_limit]
}

run "refuses_a_sensitivity_that_there_isnt" {
  command = plan
  variables {
    waf_rules = { "sqli-v33-stable" = { sensitivity = 5 } }
  }
  expect_failures = [var.waf_rules]
}

run "refuses_an_expression_for_a_rule_set" {
  command = plan
  variables {
    waf_rules = { "sqli-v33-stable')" = {} }
  }
  expect_failures = [var.waf_rules]
}

run "refuses_an_expression_for_a_rule_id" {
  command = plan
  variables {
    waf_rules = { "sqli-v33-stable" = { exclude = ["x']})"] } }
  }
  expect_failures = [var.waf_rules]
}

run "refuses_a_share_above_one" {
  command = plan
  variables {
    log_sample_rate = 10
  }
  expect_failures = [var.log_sample_rate]
}
