"""Exports of the journal by posting period: to accounting tools in plain text, CSV and Parquet."""
