"""Which release of the documents this is: equal revisions set equal content in equal bytes."""

from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

_HERE = Path(__file__).parent
_LIBRARIES = ("typst", "babel")


@cache
def revision() -> str:
    """What of a release decides how documents look, as a digest: templates, words, libraries."""
    digest = sha256()
    for file in sorted(_HERE.iterdir()):
        if file.suffix in (".typ", ".json", ".py"):
            digest.update(file.read_bytes())
    for library in _LIBRARIES:
        digest.update(f"{library} {version(library)}".encode())
    return digest.hexdigest()
