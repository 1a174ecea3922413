"""The commands, one file per group. Each file's `register` adds its commands to the application."""
