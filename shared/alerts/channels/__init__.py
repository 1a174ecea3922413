"""The channels of alerts: a file each, and a line in the table."""
