"""The local twin: the gateway, the event dispatcher, the sample upstream, and what starts them."""
