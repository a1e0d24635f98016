"""Invoices and statements of account as documents (PDF), made anew each time from the same figures."""
