"""The touch station: a service on the device itself, and the page it serves."""
