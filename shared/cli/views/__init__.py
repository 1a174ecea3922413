"""What people read: each view makes renderables out of an answer, and touches nothing else."""
