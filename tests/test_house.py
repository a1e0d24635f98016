"""The house: sizes, floors, pure modules, SQL in its place, an honest lock. Each check can fail."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.house import (
    PRODUCT,
    ROOT,
    bare_ignores,
    claimless_tests,
    foreign,
    ignored,
    impure_imports,
    nameless_module,
    pure_modules,
    source_files,
    sql_in_python,
    too_long,
)

LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize(
    ("rule", "files"),
    [
        (too_long, lambda: source_files()),
        (nameless_module, lambda: source_files(*PRODUCT)),
        (impure_imports, pure_modules),
        (sql_in_python, lambda: source_files(*PRODUCT)),
        (bare_ignores, lambda: source_files()),
        (claimless_tests, lambda: source_files("tests")),
    ],
)
def test_every_file_keeps_the_rule(
    rule: Callable[[str], list[str]], files: Callable[[], list[Path]]
) -> None:
    """No file of the repository breaks the rule."""
    read = list(files())
    assert read
    found = [
        f"{path.relative_to(ROOT)}: {fault}"
        for path in read
        for fault in rule(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


QUERY = "SEL" + "ECT 1"


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        (too_long, "x = 1\n" * 401),
        (too_long, "def f():\n" + "    x = 1\n" * 60),
        (nameless_module, "import re\n"),
        (impure_imports, "import os\n"),
        (impure_imports, "from random import choice\n"),
        (impure_imports, "from ledger.store import append\n"),
        (impure_imports, "from ledger import store\n"),
        (impure_imports, "from api.settings import load\n"),
        (impure_imports, "import pydantic\n"),
        (sql_in_python, f"x = f'{QUERY} {{y}}'\n"),
        (sql_in_python, f"x = '{QUERY} ' + y\n"),
        (sql_in_python, f"x = b'{QUERY}'\n"),
        (bare_ignores, "x = y  # no" + "qa: F821\n"),
        (bare_ignores, "x = y  # type: ig" + "nore[name-defined]\n"),
        (claimless_tests, "def test_it():\n    assert True\n"),
        (foreign, "see " + "pypi" + ".org"),
        (foreign, "cd " + "/work" + "/main"),
    ],
)
def test_a_planted_fault_is_found(rule: Callable[[str], list[str]], fault: str) -> None:
    """Each rule finds the fault it is there for."""
    assert len(rule(fault)) == 1


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (too_long, "def f():  # long: a table\n" + "    x = 1\n" * 60),
        (too_long, "# long: a table\n" + "x = 1\n" * 401),
        (
            impure_imports,
            "import msgspec\nfrom datetime import date\nfrom ledger.money import split\n",
        ),
        (sql_in_python, "x = sql.SQL('CREATE ROLE {}')\n"),
        (sql_in_python, "x = 'Select an account'\ny = 'UPDATE'\n"),
        (bare_ignores, "x = y  # no" + "qa: F821  # y comes with the platform\n"),
    ],
)
def test_what_is_allowed_passes(rule: Callable[[str], list[str]], text: str) -> None:
    """The rules leave alone what is in order."""
    assert rule(text) == []


def test_the_floors_stand() -> None:
    """api stands on projections, projections on ledger, and no import goes in a circle."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_no_file_names_a_package_host_or_a_path_of_one_machine() -> None:
    """The repository can be cloned and built anywhere."""
    found = []
    for path in sorted(ROOT.rglob("*")):
        if path.is_file() and not ignored(path):
            text = path.read_bytes().decode("utf-8", errors="ignore")
            found += [f"{path.relative_to(ROOT)} {fault}" for fault in foreign(text)]
    assert not found, "\n".join(found)


def test_the_lock_pins_everything_by_hash() -> None:
    """Every line of the lock is one exact version with hashes; no address is in it."""
    requirements = [
        line for line in LOCK.splitlines() if line and not line.startswith((" ", "#", "\t"))
    ]
    assert len(requirements) > 20
    assert all(re.match(r"[a-z0-9-]+==[0-9][^ ]*", line) for line in requirements)
    assert LOCK.count("==") >= len(requirements)
    entries = re.split(r"\n(?=[a-z])", LOCK)
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in LOCK
    assert not re.search(r"^\s*--(?!hash=)", LOCK, re.MULTILINE)


def test_the_lock_holds_what_the_project_asks_for() -> None:
    """Each direct dependency is in the lock, and the build backend at the one version pinned."""
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]]
    names = {re.split(r"[\[>=<;]", line)[0].strip() for line in wanted}
    locked = set(re.findall(r"^([a-z0-9-]+)==", LOCK, re.MULTILINE))
    assert names <= locked, names - locked
    (backend,) = PROJECT["build-system"]["requires"]
    assert [backend] == PROJECT["dependency-groups"]["build"]
    assert re.search(rf"^{re.escape(backend)} ", LOCK, re.MULTILINE)


def test_every_file_of_a_package_is_installed() -> None:
    """What lies beside the code (SQL and the like) is matched by the package data."""
    (patterns,) = PROJECT["tool"]["setuptools"]["package-data"].values()
    beside = [
        path.relative_to(ROOT)
        for folder in PRODUCT
        for path in source_files(folder, suffix="")
        if path.suffix != ".py" and not any(path.match(pattern) for pattern in patterns)
    ]
    assert beside == []
