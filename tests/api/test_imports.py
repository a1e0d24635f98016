"""Files of commands taken in by several processes: each line once, whoever is killed meanwhile."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest

from api.embedded import EmbeddedServer
from api.wiring import Database
from ledger.store.lanes import LANES
from tests.api.conftest import fresh_database, regions_file
from tests.api.serving import COMMAND, ROOT, WAIT_LIMIT_S, Ran, environment_of, eventually, run
from tests.api.test_cli import US

ACCOUNTS = 100
CHARGES = 36_000
OPENING = {
    "company": "Lines Ltd.",
    "country": "USA",
    "terms": {"kind": "net", "days": 30},
    "opened_on": "2020-06-01",
}
CHARGE = {
    "amount": "1.00",
    "description": "Calls",
    "category": "voice",
    "effective_on": "2020-06-30",
}


def line(account: str, type: str, key: str, data: dict[str, object]) -> str:
    return json.dumps({"key": key, "account": account, "type": type, "data": data})


def book(accounts: int, charges: int) -> list[str]:
    """Lines that open accounts, then charge them in turn."""
    numbers = [f"I-{n % accounts}" for n in range(charges)]
    return [
        *(line(number, "open_account", "open", OPENING) for number in numbers[:accounts]),
        *(
            line(number, "post_charge", f"c-{n}", {**CHARGE, "charge_id": f"c-{n}"})
            for n, number in enumerate(numbers)
        ),
    ]


def file_of(directory: Path, lines: Sequence[str]) -> Path:
    path = directory / "lines.ndjson"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


class Importing:
    """Imports into a database of its own."""

    def __init__(self, database: Database, directory: Path) -> None:
        self._database = database
        self._environment = environment_of(regions_file(directory, database))

    def run(self, path: Path, *options: str) -> Ran:
        """An import that is left alone."""
        return run(self._environment, "import", path, "--json", *options)

    def broken_off(
        self, path: Path, workers: int, end: Callable[[psutil.Process], None], lines: int
    ) -> tuple[int, str]:
        """Exit code and complaint of an import that is ended once its marks moved on by some lines."""
        enough = self.marked() + LANES * lines
        process = subprocess.Popen(
            [*COMMAND, "import", str(path), "--workers", str(workers)],
            cwd=ROOT,
            env=self._environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        parent = psutil.Process(process.pid)
        family: list[psutil.Process] = []

        def is_amid() -> bool:
            assert process.poll() is None, "ended by itself"
            family[:] = parent.children()
            return self.marked() >= enough

        try:
            eventually(is_amid)
            end(parent)
            _, err = process.communicate(timeout=WAIT_LIMIT_S)
        finally:
            process.kill()
        _, alive = psutil.wait_procs(family, timeout=WAIT_LIMIT_S)
        assert not alive
        return process.returncode, err

    def marked(self) -> int:
        """Σ of the lines that the lanes' marks have reached."""
        return self._number(b"SELECT COALESCE(sum(line), 0)::bigint FROM ledger.import_mark")

    def events(self) -> int:
        return self._number(b"SELECT sum(position)::bigint FROM ledger.lane_head")

    def _number(self, query: bytes) -> int:
        assert self._database.owner_url is not None
        with closing(psycopg.connect(self._database.owner_url, autocommit=True)) as connection:
            [number] = connection.execute(query).fetchone() or [0]
            assert isinstance(number, int)
            return number


@pytest.fixture
def importing(server: EmbeddedServer, tmp_path: Path) -> Importing:
    database = fresh_database(server, US)
    database.migrate()
    return Importing(database, tmp_path)


def kill(process: psutil.Process) -> None:
    process.kill()


def kill_a_worker(process: psutil.Process) -> None:
    workers = [one for one in process.children() if "--multiprocessing-fork" in one.cmdline()]
    workers[-1].kill()


def stop(process: psutil.Process) -> None:
    os.kill(process.pid, signal.SIGTERM)


def test_an_import_broken_off_thrice_goes_on(importing: Importing, tmp_path: Path) -> None:
    """A worker dies, the whole is killed, then stopped, each with other numbers of workers: every
    command is done once, most are not sent again, and no end that is not the end passes for one."""
    path = file_of(tmp_path, book(ACCOUNTS, CHARGES))
    code, said = importing.broken_off(path, 2, kill_a_worker, 1)
    assert (1, True) == (code, "of 2 died, with exit code -9; what was done stays done" in said)
    code, _ = importing.broken_off(path, 3, kill, 1_500)
    assert -signal.SIGKILL == code
    code, said = importing.broken_off(path, 1, stop, 1)
    assert (1, True) == (code, "stopped: what was done stays done" in said)
    done = importing.events()
    assert 0 < done < ACCOUNTS + CHARGES
    last = importing.run(path, "--workers", "2")
    [told] = last.lines
    assert (0, True, 0) == (last.code, told["ok"], told["refused"])
    sent = told["accepted"] + told["replayed"]
    assert ACCOUNTS + CHARGES == sent + told["resumed"] == told["lines"]
    assert done == told["resumed"] + told["replayed"]
    assert told["resumed"] > done // 4
    assert ACCOUNTS + CHARGES == importing.events()
    assert 0 == importing.marked()  # they are of no use any more


def test_several_tell_what_one_tells(
    importing: Importing, server: EmbeddedServer, tmp_path: Path
) -> None:
    """Whatever is wrong with a file, the summary of two processes is that of one: every line is
    judged once, in order; with bad lines nothing is taken, and a refusal refuses only itself."""
    lines = book(20, 60)
    for at, wrong in (
        (7, "not json"),
        (11, ""),
        (30, line("I-3", "post_charge", "bad", {**CHARGE, "charge_id": "x", "amount": "1.001"})),
        (40, line("none", "post_charge", "refused", {**CHARGE, "charge_id": "x"})),
        (50, json.dumps({"key": "k", "account": 7, "type": "post_charge", "data": {}})),
        (51, line("a b", "post_charge", "bad", {**CHARGE, "charge_id": "x"})),
        (60, line("I-5", "post_charge", "twice", {**CHARGE, "charge_id": "c-5"})),
        (61, "x" * 300_000),
    ):
        lines.insert(at, wrong)
    path = file_of(tmp_path, lines)
    fresh = fresh_database(server, US)
    fresh.migrate()
    (tmp_path / "alone").mkdir()
    alone = Importing(fresh, tmp_path / "alone")
    for options in ((), ("--skip-bad",)):
        one, two = (
            at.run(path, "--workers", n, *options) for at, n in ((alone, "1"), (importing, "2"))
        )
        assert (1, 1) == (one.code, two.code), two
        [told] = one.lines
        assert one.lines == two.lines
        assert [8, 31, 51, 52, 62] == sorted({problem["line"] for problem in told["bad"]})
        if options:
            assert [41, 61] == [problem["line"] for problem in told["refusals"]]
    assert (80, False) == (told["accepted"], told["ok"])
    assert importing.events() == alone.events() == 80
