"""Backups of the embedded server: one file for all regions, taken while it serves, and restored."""
