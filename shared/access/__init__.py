"""Who is calling, and which role a route needs."""
