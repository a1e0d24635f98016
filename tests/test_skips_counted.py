"""A test that cannot run for want of something outside is counted where nobody can miss it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CASES = """
import pytest

@pytest.mark.needs("TEST_DATA")
def test_data(): pass

@pytest.mark.needs("no-such-program")
@pytest.mark.parametrize("n", [1, 2])
def test_program(n): pass

def test_nothing(): pass
"""


def run_cases(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "test_cases.py").write_text(CASES)
    kept = {k: v for k, v in os.environ.items() if k != "TEST_DATA" and "PYTEST" not in k}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, folder],
        env={**kept, "PYTHONPATH": str(Path(__file__).parents[1])},  # the conftest's plugin
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("options", [[], ["-n", "2", "-q"]])
def test_skips_are_counted_on_the_last_line(tmp_path: Path, options: list[str]) -> None:
    """Alone or over workers, the last line says how many tests were skipped, and for want of what."""
    done = run_cases(tmp_path, *options)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == (
        "skipped for want of something outside: 3 (TEST_DATA: 1, no-such-program: 2)"
    )


def test_where_nothing_may_be_missing_a_skip_fails(tmp_path: Path) -> None:
    """With --nothing-missing the same tests fail and name what is missing."""
    done = run_cases(tmp_path, "--nothing-missing")
    assert done.returncode == 1
    assert "needs from outside: TEST_DATA, which is not there" in done.stdout
    assert re.search(r"1 passed, .*3 errors", done.stdout)
    assert done.stdout.splitlines()[-1] == "skipped for want of something outside: 0"
