"""Work outside the serving processes: `python -m shared.jobs.<name>`, a Cloud Run Job or a sub-process."""
