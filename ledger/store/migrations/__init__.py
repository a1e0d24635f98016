"""Numbered steps of the ledger's schema, applied once each and never edited after a release."""
