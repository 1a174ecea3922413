output "url" {
  description = "Where the engine answers, once the domain's A record points to the address and the certificate is active."
  value       = "https://${var.domain}"
}

output "address" {
  description = "The IPv4 address for the domain's A record."
  value       = google_compute_global_address.this.address
}

output "certificate" {
  description = "The managed certificate's name, to ask for its state."
  value       = google_compute_managed_ssl_certificate.this.name
}

output "security_policy" {
  description = "The Cloud Armor policy's name."
  value       = google_compute_security_policy.this.name
}
