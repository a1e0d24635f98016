"""docker-compose.yml, read without a container engine: what it would refuse, and what it asks for."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
_VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+)(:\?)?")


def entries(text: str, section: str) -> dict[str, str]:
    """The named blocks of a top-level section."""
    (body,) = re.findall(rf"^{section}:\n((?:(?: .*)?\n)+)", text, re.MULTILINE)
    return dict(re.findall(r"^  ([a-z]+):\n((?:(?:    .*)?\n)+)", body, re.MULTILINE))


def refused(text: str) -> list[str]:
    """Read-only services given a config that is not a file: they cannot be created, since its
    content is copied into the container (compose 2.23 and later)."""
    configs = entries(text, "configs")
    return [
        f"{service}: {source}"
        for service, block in entries(text, "services").items()
        if "read_only: true" in block
        for source in re.findall(r"- source: (\w+)", block)
        if "    file: " not in configs[source]
    ]


def test_every_service_can_be_created() -> None:
    """No read-only service is given a config by its content; the check sees one that is."""
    assert set(entries(COMPOSE, "services")) == {"database", "migrate", "service", "proxy"}
    assert refused(COMPOSE) == []
    assert refused(COMPOSE.replace("    file: ./Caddyfile", "    content: x")) == [
        "proxy: caddyfile"
    ]


def test_the_files_it_names_are_there() -> None:
    """Every file that a config is read from is in the repository."""
    named = re.findall(r"^    file: (\S+)", COMPOSE, re.MULTILINE)
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_the_example_names_what_must_be_set() -> None:
    """env.example has every variable without a default, and no other than those that are read."""
    example = set(re.findall(r"^#?\s?([A-Z_]+)=", (ROOT / "env.example").read_text(), re.MULTILINE))
    read = _VARIABLE.findall(COMPOSE)
    assert {name for name, must in read if must}
    assert example == {name for name, _ in read}
