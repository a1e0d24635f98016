"""The one door to stored events: lanes, append, keys, items, hashes and roles in PostgreSQL."""
