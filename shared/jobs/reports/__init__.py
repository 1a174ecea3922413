"""What the job `report` makes: drift reports and weekly summaries, as files that need nothing else."""
