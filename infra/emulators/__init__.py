"""Emulators of the managed services, and stand-ins of ours where there is none, each as a context manager."""
