resource "google_project_service" "this" {
  for_each = var.services

  project = var.project_id
  service = each.value

  # Others in the project may use it too: whoever tears this down must not take it from them.
  disable_on_destroy = false
}
