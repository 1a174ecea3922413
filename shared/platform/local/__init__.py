"""The twin's adapters: SQLite, a folder, and sub-processes on one machine."""
