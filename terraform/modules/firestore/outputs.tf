output "name" {
  description = "The database's name."
  value       = google_firestore_database.this.name
}

output "index_count" {
  description = "How many composite indexes there are; a database takes 200 without billing, and 1000 with it."
  value       = length(google_firestore_index.composite)
}
