"""What the engine needs from the place it runs in: ports, and one folder of adapters per place."""
