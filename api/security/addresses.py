"""Mail addresses: the form that is taken."""

import re

ADDRESS_CHARS_MAX = 254
ADDRESS = (
    r"^[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)*[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$"
)
"""What RFC 5321 lets stand without quotes, in ASCII: nothing that could end a header."""
_ADDRESS = re.compile(ADDRESS, re.ASCII)
_LOCAL_CHARS_MAX = 64


def is_address(text: str) -> bool:
    """Whether mail can be sent to it, as far as its form tells."""
    local = text.partition("@")[0]
    return (
        len(text) <= ADDRESS_CHARS_MAX
        and len(local) <= _LOCAL_CHARS_MAX
        and _ADDRESS.fullmatch(text) is not None
    )
