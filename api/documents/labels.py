"""The words of documents, by language: a table in labels.json that any language can be added to."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec

DEFAULT_LANGUAGE = "en"
_FILE = Path(__file__).with_name("labels.json")


@cache
def labels() -> Mapping[str, Mapping[str, str]]:
    """The words of each language there is, by what they stand for."""
    return msgspec.json.decode(_FILE.read_bytes(), type=dict[str, dict[str, str]])


def language_of(tag: str) -> str:
    """The language to write in for a customer's language tag (BCP 47): theirs, or English."""
    language = tag.partition("-")[0].lower()
    return language if language in labels() else DEFAULT_LANGUAGE
