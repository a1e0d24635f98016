"""What accounting tools make of an export: whether they take it, and their balances of each month."""

import csv
import io
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from beancount import loader
from beancount.core.data import Transaction

LIMIT_S = 120
UTF8 = {"LC_ALL": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"}

Balances = dict[tuple[str, str], Decimal]
"""By name of account and currency; zeros left out."""


def bean_check(text: bytes) -> list[str]:
    """What bean-check complains of."""
    _, errors, _ = loader.load_string(text.decode())
    return [error.message for error in errors]


def beancount_balances(text: bytes, days: Sequence[date]) -> list[Balances]:
    """What is left of all postings up to each day."""
    entries, errors, _ = loader.load_string(text.decode())
    assert [] == errors
    found = []
    for day in days:
        balances: Balances = defaultdict(Decimal)
        for entry in entries:
            if isinstance(entry, Transaction) and entry.date <= day:
                for posting in entry.postings:
                    assert posting.units is not None
                    balances[posting.account, posting.units.currency] += posting.units.number
        found.append({key: amount for key, amount in balances.items() if amount})
    return found


def hledger_check(file: Path) -> str:
    """What `hledger check --strict` complains of."""
    return _run("hledger", "-f", str(file), "check", "--strict").stderr


def hledger_balances(file: Path, days: Sequence[date]) -> list[Balances]:
    """The balances at the end of each day; the days are the last of months in a row."""
    months = ("-M", "--historical", "-b", str(days[0].replace(day=1)), "-e", str(_after(days[-1])))
    done = _run(*("hledger", "-f", str(file), "bal", *months, "-N", "--flat", "-O", "csv"))
    assert (0, "") == (done.returncode, done.stderr)
    found: list[Balances] = [{} for _ in days]
    for account, *columns in list(csv.reader(io.StringIO(done.stdout)))[1:]:
        for balances, amounts in zip(found, columns, strict=True):
            balances.update(_amounts(account, amounts.split(", ")))
    return found


def hledger_values(file: Path, tag: str) -> set[str]:
    """What hledger finds said of transactions and postings under a name."""
    return {*_run("hledger", "-f", str(file), "tags", "--values", tag).stdout.splitlines()}


def ledger_check(file: Path) -> str:
    """What `ledger --pedantic` complains of."""
    return _run("ledger", "-f", str(file), "--pedantic", "bal").stderr


def ledger_balances(file: Path, days: Sequence[date]) -> list[Balances]:
    """The balances at the end of each day, asked of one process at its prompt, `] `."""
    form = "%(account),%(join(scrub(total)))|"
    asked = "".join(
        f'bal --flat --no-total --balance-format "{form}" --end {_after(day)}\n' for day in days
    )
    done = _run("ledger", "-f", str(file), "--pedantic", given=asked)
    assert (0, "") == (done.returncode, done.stderr)
    found = []
    for answer in done.stdout.split("] ")[1:-1]:
        balances: Balances = {}
        for line in answer.split("|")[:-1]:
            account, amounts = line.split(",")
            balances.update(_amounts(account, amounts.split("\\n")))
        found.append(balances)
    assert len(days) == len(found)
    return found


def _after(day: date) -> date:
    return day + timedelta(days=1)


def _amounts(account: str, amounts: Sequence[str]) -> Balances:
    numbers = [amount.split(" ") for amount in amounts if amount not in ("0", "")]
    return {(account, currency): Decimal(number) for number, currency in numbers}


def _run(*command: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, input=given, env=UTF8, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
