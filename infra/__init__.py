"""What stands around the functions: the local twin, the catalogue reader, generators."""
