"""What ids look like that callers give to accounts and to the things of an account."""

import re

ID_CHARS_MAX = 64
INVOICE_ID_CHARS_MAX = 96
"""Longer than of others, since generated numbers begin with the account's."""


def pattern(chars_max: int) -> str:
    """The expression that an id of up to so many characters fits whole, here and in JSON schemas.

    An id stands in paths, where `.` and `..` are other places (RFC 3986, 5.2.4).
    """
    return rf"(?!\.{{1,2}}$)[A-Za-z0-9._:-]{{1,{chars_max}}}"


ID = re.compile(pattern(ID_CHARS_MAX), re.ASCII)
ID_SAYS = f"1 to {ID_CHARS_MAX} of A-Z a-z 0-9 . _ : -, but neither . nor .."
INVOICE_ID = re.compile(pattern(INVOICE_ID_CHARS_MAX), re.ASCII)
INVOICE_ID_SAYS = f"1 to {INVOICE_ID_CHARS_MAX} of A-Z a-z 0-9 . _ : -, but neither . nor .."
GIVEN_NUMBER = re.compile(rf"(?!.*\.pdf$){pattern(ID_CHARS_MAX)}", re.ASCII)
"""A number that an invoice can be given: where one that ends in .pdf would be read, there is the
document of the invoice without that ending. Generated numbers end in digits."""
GIVEN_NUMBER_SAYS = f"{ID_SAYS}, and without .pdf at the end"
