"""The roles that the doors act as in a database, beside the ledger's own."""

SIGN_IN = "billing_sign_in"
"""Counts tries, looks a login up and opens its session; nothing else."""
REGISTRAR = "billing_registrar"
"""Keeps logins and tokens; nothing else."""
