"""Every door: HTTP, command line, and the only place where things are wired."""
