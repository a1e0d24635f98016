"""Programs that measure what the ledger promises, each with its baseline in the same run."""
