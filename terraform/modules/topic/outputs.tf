output "id" {
  description = "The topic's full name: projects/<project>/topics/<name>."
  value       = google_pubsub_topic.this.id
}

output "name" {
  description = "The topic's name."
  value       = google_pubsub_topic.this.name
}

output "subscriptions" {
  description = "The names of its push subscriptions."
  value       = [for subscription in google_pubsub_subscription.push : subscription.name]
}
