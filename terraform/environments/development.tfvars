# For trying things out: nothing is kept, nothing runs by itself, all of it can be destroyed.
environment            = "development"
settings               = { LOG_LEVEL = "DEBUG" }
schedules_paused       = true
point_in_time_recovery = false
backup_days            = 0
deletion_protection    = false
