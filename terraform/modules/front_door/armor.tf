# Who gets as far as the functions. The first rule that matches decides, so the refusals come before the
# rule that lets pass: known attacks, then addresses that ask too often.

locals {
  waf_sets = sort(keys(var.waf_rules))
}

resource "google_compute_security_policy" "this" {
  #checkov:skip=CKV_GCP_73:the rule set cve-canary is among var.waf_rules; the scanner doesn't see into dynamic blocks
  project     = var.project_id
  name        = var.name
  description = "Refuses known attacks, and addresses that ask too often."

  advanced_options_config {
    # Else the rule sets read a JSON body as one text, and take ordinary ones for attacks.
    json_parsing = "STANDARD"
    log_level    = "NORMAL"
  }

  dynamic "rule" {
    for_each = local.waf_sets

    content {
      priority    = 1000 + rule.key
      description = "Attacks that ${rule.value} knows."
      action      = "deny(403)"
      preview     = var.waf_rules[rule.value].preview

      match {
        expr {
          expression = format(
            "evaluatePreconfiguredWaf('%s', {'sensitivity': %d%s})",
            rule.value,
            var.waf_rules[rule.value].sensitivity,
            length(var.waf_rules[rule.value].exclude) == 0 ? "" : format(
              ", 'opt_out_rule_ids': ['%s']", join("', '", var.waf_rules[rule.value].exclude)
            ),
          )
        }
      }
    }
  }

  rule {
    priority    = 2000
    description = "Each client address has its share of requests."
    action      = "throttle"

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }

    rate_limit_options {
      enforce_on_key = "IP"
      conform_action = "allow"
      exceed_action  = "deny(429)"

      rate_limit_threshold {
        count        = var.rate_limit.requests
        interval_sec = var.rate_limit.period_seconds
      }
    }
  }

  # The API wants a rule of the last priority that matches all.
  rule {
    priority    = 2147483647
    description = "All others."
    action      = "allow"

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }
  }
}
