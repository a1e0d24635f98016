"""Hostile values, made by hand: what has broken parsers, databases, logs, spreadsheets and pages."""

import json
from typing import NamedTuple
from urllib.parse import quote

NUL, RTL, ZWJ, BOM = "\x00", "\u202e", "\u200d", "\ufeff"
KIB_64 = 64 * 1024

CHARACTERS = (
    *("", " ", "  ", "\t", "\n", "\r", "\r\n", "\v", "\f", "\x1b[2J", "\x1b]0;x\x07", "\x7f"),
    "\x85",
    *(NUL, f"a{NUL}b", f"A-1{NUL}", f"{NUL}A-1", "\x01", "\x08\x08\x08", "\x1f"),
    *("\ud800", "\udfff", "a\udc00b", "\ud83d", "\ufffd", "\ufffe", "\uffff", "\U0010ffff"),
    *(RTL, f"{RTL}1-A", "\u2066A-1\u2069", "\u200f", "\u200b", f"A{ZWJ}1", BOM, f"{BOM}A-1"),
    *("\u2028", "\u2029", "\u00a0", "\u3000", "\u00ad", "\u2060", "\u0085", "\u180e"),
    *("é", "e\u0301", "ﬁ", "ß", "ı", "İ", "ſ", "Å", "\u212b", "가", "\u1100\u1161"),
    *("a" + "\u0301" * 500, "\u0301", "💩", "👨\u200d👩\u200d👧", "🇺🇸", "﷽", "𝐀-𝟏", "А-1", "Ⅷ"),
)
NUMBERS = (
    *("0", "-0", "+0", "00", "0.0", "-0.00", "1.", ".1", "1e3", "1E3", "1e999", "-1e-999", "1_000"),
    *("1,000", "1.000,00", "1 000", "0x10", "0b1", "0o7", "NaN", "-nan", "Infinity", "-Infinity"),
    *("inf", "1/3", "½", "٣", "١٢٣", "１２３", "१२", "²", "①", "-1", "--1", "+1", "1-", "1+1"),
    "１.００",
    *("9" * 19, "9" * 20, "9" * 400, "-" + "9" * 400, "0." + "0" * 400 + "1", "1" + "0" * 400),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616"),
    *("2147483648", "99999999999999.99", "0.001", "1.0000000000000", "1e1e1", "$1", "1 USD", "1;2"),
)
DAYS = (
    *("0000-00-00", "0000-01-01", "0001-01-01", "1899-12-31", "2200-01-01", "9999-12-31"),
    *("10000-01-01", "-2020-01-01", "2024-02-30", "2023-02-29", "2020-13-01", "2020-00-10"),
    *("2020-1-1", "20200101", "2020-W01-1", "2020-001", "01/02/2020", "2020-01-01T00:00:00"),
    *("2020-01-01 ", " 2020-01-01", "2020-01-01\n", "２０２０-01-01", "2020‐01‐01", "today"),
    "now()",
    *("2020-01-01T24:00:00Z", "2020-06-30T23:59:60Z", "2020-01-01T00:00:00+99:99", "T", "Z"),
    *("2020-01-01T00:00:00.1234567Z", "2020-01-01t00:00:00z", "1577836800", "infinity", "epoch"),
)
INJECTIONS = (
    *("' OR 1=1 --", "'; DROP TABLE ledger.event; --", "1) OR (1=1", "$1", "$$", "%s", "%(x)s"),
    "%n",
    *("\\", "\\'", "\\x00", "\\u0000", "E'\\x41'", "{}", "{0}", "{{7*7}}", "${7*7}", "#{7*7}"),
    "<%= 7 %>",
    *("=1+1", "+1+1", "-1+1", "@SUM(A1)", "=cmd|' /C calc'!A0", '=HYPERLINK("http://x")', "\t=1+1"),
    *("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&lt;", "<!--", "]]>"),
    "javascript:x",
    *("a\r\nSet-Cookie: x=1", "a\nlevel=error", '","level":"fatal"', "a%0d%0ab"),
    "\r\n\r\nHTTP/1.1 200",
    *("../../etc/passwd", "..\\..\\x", "/etc/passwd", "....//", "~", "file:///x", "C:\\x", "CON"),
    "|id",
    *("$(id)", "`id`", "; id", "&& id", "${jndi:ldap://x}", "http://[::1]/", "//x", "\\\\x\\y"),
    *("*", "?"),
    *("A-1/", "A-1//summary", "A-1/../B-1", "A-1;x=1", "A-1#x", "A-1?x", "a-1", "A-1 ", "."),
    *("..", "-"),
    *("null", "undefined", "true", "None", "[]", "[object Object]", "__proto__", "constructor"),
)
LONG = (
    "x" * 65,
    "x" * 97,
    "x" * 201,
    "x" * 256,
    "x" * 4_000,
    "é" * 4_000,
    "x" * KIB_64,
    "💩" * 2_000,
)
TEXTS = tuple(dict.fromkeys((*CHARACTERS, *NUMBERS, *DAYS, *INJECTIONS, *LONG)))
"""Texts for every place that takes one."""

ENCODED = (
    *(b"%", b"%%", b"%0", b"%zz", b"%00", b"%0a", b"%0d%0a", b"%2e%2e%2f", b"%252e%252e", b"%2f"),
    *(b"%c0%ae", b"%e0%80%ae", b"%f0%80%80%ae", b"%ed%a0%80", b"%f4%90%80%80", b"%ff%fe", b"%80"),
    *(b"%u0041", b"\xff", b"\xc3\xa9", b"\xe9", b"A%2d1", b"%41-1", b"A+1", b"A%2B1", b"&", b"="),
    b"%26",
)
"""Parts of a path or query as they are sent, before any decoding."""

_DEEP = 30_000
LITERALS = (
    *("null", "true", "false", "0", "-0", "-0.0", "1", "-1", "1.5", "1e3", "1E400", "-1e-400"),
    *("9" * 19, "9" * 20, "9" * 400, "0." + "3" * 400, "9007199254740993", "1e308", "5e-324"),
    *("[]", "{}", "[null]", "[[]]", '[""]', "[1,2,3]", '{"":null}', '{"amount":null}'),
    '{"a":{"b":[]}}',
    *('{"amount":"1.00"}', '{"amount":"1.00","currency":"XXX"}', '{"amount":1,"currency":"USD"}'),
    '{"amount":"1.00","currency":"usd"}',
    '{"amount":{"amount":"1","currency":"USD"},"currency":"USD"}',
    *('{"kind":"net","days":1e3}', '{"kind":["net"]}', '{"kind":"net","kind":"x"}'),
    '{"__proto__":{}}',
    *("[" * 20 + "]" * 20, "[" * 1_000 + "]" * 1_000, '{"a":' * 1_000 + "1" + "}" * 1_000),
    *("[" + "0," * 9_999 + "0]", '["' + '","'.join("x" * 1_000) + '"]', '"\\ud83d\\ude00"'),
)
"""JSON for every field of a body that is no text."""

BODIES = (
    *(b"", b" ", b"\x00", b"null", b"true", b"0", b'""', b"[]", b"[{}]", b"{}", b"{", b"}"),
    *(b"{}{}", b"{},"),
    *(b"NaN", b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":01}', b'{"a":+1}'),
    b'{"a":.5}',
    *(b'{"a":1,}', b"{'a':1}", b"{a:1}", b'{"a":1}//', b'/**/{"a":1}', b'{"a":undefined}'),
    b'{"a"}',
    *(b"\xef\xbb\xbf{}", '{"a":1}'.encode("utf-16"), '{"a":1}'.encode("utf-32"), b"\xff\xfe"),
    b'{"\xff":1}',
    *(b'{"a":"\xc0\xae"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\\ud800"}', b'{"a":"\\u12"}'),
    b'{"a":"\\x41"}',
    *(b'{"a":"\x01"}', b'{"a":"\n"}', b'{"a":1,"a":2}', b'{"":1}', b'{"\\u0000":1}', b"<a/>"),
    b"a=1&b=2",
    *(b"[" * _DEEP, b'{"a":' * 10_000, b"[" * _DEEP + b"]" * _DEEP, b"9" * 60_000),
    b'"' + b"x" * 60_000,
    *(b'{"a":"' + b"x" * (KIB_64 - 8) + b'"}', b" " * KIB_64 + b"{}"),
    b'{"' + b"k" * 60_000 + b'":1}',
    *(b"{%s}" % b",".join(b'"k%d":1' % n for n in range(5_000)), b"\r\n\r\n{}", b"{}\x00"),
    b"\x1f\x8b\x08\x00",
)
"""Whole bodies."""

MEDIA_TYPES = (
    *(None, b"", b"text/plain", b"application/json; charset=utf-16", b"application/JSON", b"*/*"),
    *(b"application/x-www-form-urlencoded", b"multipart/form-data", b"application/json\x00"),
    b"\xff",
)


class Encoded(NamedTuple):
    """A value for a path or query, percent-encoded, and how it is called when it does harm."""

    name: str
    sent: bytes


def encoded() -> list[Encoded]:
    """Every text as it is sent in a path or query, and every trick with the encoding itself."""
    texts = [
        Encoded(ascii(text)[:60], quote(text.encode("utf-8", "surrogatepass"), safe="").encode())
        for text in TEXTS
    ]
    return [*texts, *(Encoded(ascii(sent), sent) for sent in ENCODED)]


def headers() -> list[bytes]:
    """Every text as the bytes of a header."""
    return [text.encode("utf-8", "surrogatepass") for text in TEXTS]


def literals() -> list[bytes]:
    """Every value of a field, as JSON."""
    return [*(json.dumps(text).encode() for text in TEXTS), *(one.encode() for one in LITERALS)]
