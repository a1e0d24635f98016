"""What the README and the pages of docs/ show is run, and comes true."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.consoles import differences, matches, steps

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
START_LIMIT_S = 120
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)#:]+)(?:#[^)]*)?\)")
WITH_CONSOLE = [page for page in PAGES if "\n```console\n" in page.read_text()]
WITH_PYTHON = [
    page for page in PAGES if _PYTHON.search(page.read_text()) and page not in WITH_CONSOLE
]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def demo_environment() -> Iterator[dict[str, str]]:
    """`billing-ledger demo` is running, as `make run` starts it; what a user's shell would have."""
    from tests.conftest import server_directory

    directory = server_directory(f"readme-{os.getpid()}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "PORT": str(port),
        "BILLING_LEDGER_DATA": str(directory),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    for variable in ("DATABASE_URL", "DATABASE_OWNER_URL", "BILLING_LEDGER_REGIONS"):
        environment.pop(variable, None)
    with (directory.parent / f"{directory.name}.log").open("w") as log:
        demo = subprocess.Popen(
            ["billing-ledger", "demo", "--json"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert demo.stdout is not None
        ready = json.loads(demo.stdout.readline())
        assert ready["url"] == f"http://localhost:{port}"
        yield environment
    finally:
        demo.send_signal(signal.SIGTERM)
        demo.wait(START_LIMIT_S)
        demo.stdout.close()
        subprocess.run(["rm", "-rf", str(directory), f"{directory}.log"], check=True)


def test_the_tour_is_there() -> None:
    """The README shows a tour."""
    assert len(steps(ROOT / "README.md")) >= 6


@pytest.mark.parametrize("page", WITH_CONSOLE, ids=name)
def test_what_a_page_shows_comes_true(
    page: Path, demo_environment: dict[str, str], tmp_path: Path
) -> None:
    """Every command of a page gives the output shown under it; then its Python runs beside it."""
    swaps = {"localhost:8000": f"localhost:{demo_environment['PORT']}"}
    assert [] == differences(page, tmp_path, demo_environment, swaps)
    run_python(page, swaps)


def test_a_wrong_output_is_seen() -> None:
    """The comparison with the output shown can fail, and its wildcards hold only where written."""
    assert matches("a ...\n...\nz\n", "a b\nc\nd\nz\n")
    assert not matches("a\n", "b\n")
    assert not matches("a ...\nz\n", "a b\nc\nz\n")


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name)
def test_python_of_the_docs_runs(page: Path) -> None:
    """The Python of a page runs from top to bottom; its asserts hold."""
    run_python(page, {})


def run_python(page: Path, swaps: dict[str, str]) -> None:
    namespace: dict[str, object] = {"__name__": name(page)}
    for block in _PYTHON.findall(page.read_text()):
        for shown, real in swaps.items():
            block = block.replace(shown, real)
        exec(compile(block, name(page), "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link of a page to a file of the project finds it."""
    lost = [link for link in _LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert lost == []
