"""The HTTP endpoints, one concept a file."""
