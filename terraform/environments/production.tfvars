environment            = "production"
schedules_paused       = false
point_in_time_recovery = true
backup_days            = 14
deletion_protection    = true
