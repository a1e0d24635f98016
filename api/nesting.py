"""How deep JSON is nested, told before it is decoded: whatever walks it afterwards may recurse."""

import re

DEPTH_MAX = 32
"""Bodies of the contract are four deep."""
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|([\[{])|[\]}]', re.DOTALL)


def is_too_deep(json: bytes) -> bool:
    """True when JSON nests deeper than DEPTH_MAX; of what is not JSON nothing is told."""
    if json.count(b"[") + json.count(b"{") <= DEPTH_MAX:
        return False
    depth = 0
    for token in _TOKEN.finditer(json):
        if token[1]:
            depth += 1
            if depth > DEPTH_MAX:
                return True
        elif token[0] in (b"]", b"}"):
            depth -= 1
    return False
