# As production, but for what protects its data.
environment            = "staging"
schedules_paused       = false
point_in_time_recovery = false
backup_days            = 0
deletion_protection    = false
