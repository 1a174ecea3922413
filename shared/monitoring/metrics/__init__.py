"""What Prometheus reads: the requests of this instance, and gauges that any instance can tell."""
