"""Proves that the books agree: log, write side, receivables, journal, and invoices' lines, lane by lane."""
