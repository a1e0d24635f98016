"""Numbered steps of the schema `access`: who may sign in, and what they may see."""
