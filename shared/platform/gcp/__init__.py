"""Google Cloud behind the ports: REST on the hot path, the official clients elsewhere."""
