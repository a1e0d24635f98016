"""Typesetting: the same bytes from the same content, in any process and on any machine.

No clock, no network and none of the machine's fonts or locales have a part in it.
"""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import typst

from api.documents.content import Document, Invoice
from api.documents.invoice import invoice_view
from api.documents.statement import statement_view
from api.documents.wording import BREAK, code_points

STANDARDS: list[Any] = ["a-2a", "ua-1"]
"""PDF/A for the archive, PDF/UA for who has it read to them; both refuse what no font can show."""
ATTEMPTS_MAX = 4
_HERE = Path(__file__).parent
_encode = msgspec.json.Encoder().encode
# As typst 0.15 says it; tests/documents/test_typesetting.py tells when it says it otherwise.
_NOT_SHOWN = re.compile(r'error: PDF/[^\n]*: the text `"((?:[^"\\]|\\.)*)"` could not be displayed')
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-f]+)\}|(.))")


class Typesetter:
    """Makes documents of one kind after another; `fonts` is a folder of fonts for further scripts."""

    def __init__(self, fonts: Path | None = None) -> None:
        self._compiler = typst.Compiler(
            root=_HERE,
            font_paths=[] if fonts is None else [fonts],
            ignore_system_fonts=True,
        )

    def pdf(self, document: Document) -> bytes:
        """The document, which says every character of its content or names it by its code point."""
        template, shown = _view(document)
        view = _encode(shown).decode()
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                made = self._compiler.compile(
                    _source(template, view), format="pdf", pdf_standards=STANDARDS
                )
                assert isinstance(made, bytes)  # of pages a list, which a PDF is not
                return made
            except typst.TypstError as fault:
                missing = _not_shown(fault)
                if not missing or attempt == ATTEMPTS_MAX:
                    raise
                view = _named(view, missing)
        raise AssertionError("unreachable")


def _source(template: str, view: str) -> bytes:
    """The document's source: what the template makes of the view, a string that nothing in it ends.

    Not by `inputs`, which are part of the typesetter's library: it would be made anew for each document,
    and with it all that was kept of the templates.
    """
    text = view.replace("\\", "\\\\").replace('"', '\\"')
    return f'#import "/{template}": made\n#made("{text}")\n'.encode()


def _view(document: Document) -> tuple[str, dict[str, Any]]:
    if isinstance(document, Invoice):
        return "invoice.typ", invoice_view(document)
    return "statement.typ", statement_view(document)


def _not_shown(fault: typst.TypstError) -> Sequence[str]:
    """The texts that no font has, the longest first."""
    found = {
        _ESCAPE.sub(lambda e: chr(int(e[1], 16)) if e[1] else e[2], text)
        for text in _NOT_SHOWN.findall(fault.diagnostic)
    }
    return sorted(found, key=lambda text: (-len(text), text))


def _named(view: str, texts: Sequence[str]) -> str:
    """The view, as JSON, with each of the texts replaced by the names of its characters.

    What is ASCII can be shown, but for what follows and is set together with it, such as an accent
    that no font puts there: then that is named. What is no text of the view stays as it is.
    """
    missing = [re.escape(text) for text in texts if not text.isascii()]
    pattern = re.compile("|".join(missing)) if missing else None
    spoilt = [text for text in texts if text.isascii()]

    def named(found: re.Match[str]) -> str:
        text: str = msgspec.json.decode(found[0])
        if pattern is not None:
            text = pattern.sub(lambda one: code_points(one[0]), text)
        if any(one in text for one in spoilt):
            text = "".join(code_points(one) if _is_attached(one) else one for one in text)
        return _encode(text).decode()

    return _STRING.sub(named, view)


def _is_attached(character: str) -> bool:
    """Whether a character may be set together with the one before it: marks, and what has no shape."""
    return character != BREAK and unicodedata.category(character)[0] in "MC"
