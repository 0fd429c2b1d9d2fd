"""Two gateways on one store, restarted in turn under load: not one call fails, and every credit is booked."""
