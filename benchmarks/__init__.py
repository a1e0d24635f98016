"""What the ledger promises of speed, measured: each row with its baseline in the same run."""
