"""Clients of a service that may fail at any time: they send until they are told, and note everything."""

import http.client
import itertools
import json
import random
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ledger.commands import Request, snake_case
from ledger.money import decimal_text
from tests.faults.history import Command, Figures, Read, Transaction
from tests.faults.load import requests

ANSWER_S_MAX = 8.0
AGAIN_S = 0.02
LINES = 8
GIVES_UP = 0.02
"""How often a client that was not told does not ask again: what became of it, the log knows."""
FIGURES = ("balance", "current_activity", "pending_payments")
LATER = {"database_unavailable", "overloaded", "view_behind"}
PATHS = {
    "post_charge": "/charges",
    "issue_invoice": "/invoices",
    "submit_payment": "/payments",
    "return_payment": "/payments/{payment_id}/returned",
    "issue_credit": "/credits",
    "change_settings": "/settings",
}


class Seen:
    """What all clients were told, and how far they are."""

    def __init__(self) -> None:
        self.history: list[Transaction] = []
        self.odd: list[str] = []
        self.told: Counter[int] = Counter()
        self._accepted = 0
        self._changed = threading.Condition()

    @property
    def accepted(self) -> int:
        """Commands acknowledged as done."""
        return self._accepted

    def note(self, transactions: Sequence[Transaction]) -> None:
        """Keeps what a client was told."""
        with self._changed:
            self.history += transactions
            self._accepted += sum(isinstance(t, Command) and t.last > 0 for t in transactions)
            self._changed.notify_all()

    def note_odd(self, says: str) -> None:
        """Keeps what no client should be told."""
        with self._changed:
            self.odd.append(says)
            self._changed.notify_all()

    def more(self, count: int, within_s: float) -> bool:
        """Waits until so many commands more are acknowledged; whether they were."""
        with self._changed:
            goal = self._accepted + count
            return self._changed.wait_for(
                lambda: self._accepted >= goal or bool(self.odd), within_s
            )


class Client(threading.Thread, ABC):
    """Sends the load of its seed, to the next port whenever it is not answered."""

    def __init__(self, seed: int, ports: Sequence[int], token: str, seen: Seen) -> None:
        super().__init__(name=f"client {seed}", daemon=True)
        self.seen = seen
        self.stopping = threading.Event()
        self.dice = random.Random(seed)
        self.load = requests(seed)
        self._token = token
        self._ports = itertools.cycle(ports[seed % len(ports) :] + ports[: seed % len(ports)])
        self._line: http.client.HTTPConnection | None = None

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                self.turn()
        except BaseException as fault:
            self.seen.note_odd(f"{self.name} ended: {fault!r}")
            raise
        finally:
            self._hang_up()

    @abstractmethod
    def turn(self) -> None:
        """One request and its answer, however often it must be sent."""

    def ask(self, method: str, path: str, body: bytes | None, **headers: str) -> tuple[int, bytes]:
        """Status and body; raises OSError and HTTPException."""
        if self._line is None:
            self._line = http.client.HTTPConnection(
                "127.0.0.1", next(self._ports), timeout=ANSWER_S_MAX
            )
        given = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            self._line.request(method, path, body=body, headers=given)
            answer = self._line.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self._hang_up()
            raise

    def told(self, method: str, path: str, body: bytes | None, **headers: str) -> Any:
        """Status and JSON of an answer that is one; None when it must be asked again."""
        try:
            status, answered = self.ask(method, path, body, **headers)
        except (OSError, http.client.HTTPException):
            status, answered = 0, b""
        self.seen.told[status] += 1
        if status in (200, 201):
            return status, json.loads(answered)
        if status and status not in (404, 409, 422, 503):
            self.seen.note_odd(f"{method} {path}: {status} {answered[:300]!r}")
        if status in (0, 503) or self.seen.odd:
            self.stopping.wait(AGAIN_S)
            return None
        return status, json.loads(answered)

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


class SingleClient(Client):
    """One command a request; between them it reads what it wrote, by the position it was told."""

    def __init__(self, seed: int, ports: Sequence[int], token: str, seen: Seen) -> None:
        super().__init__(seed, ports, token, seen)
        self._at: dict[str, tuple[int, str]] = {}

    def turn(self) -> None:
        request = next(self.load)
        self._send(request)
        if self.dice.random() < 0.5:
            self._read(request.account_number, self.dice.random() < 0.5)

    def _send(self, request: Request) -> None:
        kind, data = written(request)
        method = "PATCH" if kind == "change_settings" else "POST"
        path = f"/v1/accounts/{request.account_number}{PATHS[kind]}".format(**data)
        if "{" in PATHS[kind]:
            del data["payment_id"]
        headers = {
            "Idempotency_Key": request.key,
            **({"If_Match": "*"} if method == "PATCH" else {}),
        }
        asked_at = time.monotonic()
        last, code, told_at, figures = 0, "", float("inf"), None
        while True:
            told = self.told(method, path, json.dumps(data).encode(), **headers)
            if told is not None:
                status, answer = told
                told_at = time.monotonic()
                if status in (200, 201):
                    last, figures = answer["version"], figures_of(answer["figures"])
                    self._reached(request.account_number, last, answer["position"])
                else:
                    code = answer["code"]
                break
            if self.stopping.is_set() or self.dice.random() < GIVES_UP:
                break
        command = Command(
            self.name, request.account_number, request.key, asked_at, told_at, last, code, figures
        )
        self.seen.note([command])

    def _read(self, account: str, events: bool) -> None:
        not_before, position = self._at.get(account, (0, None))
        wanted = {"Ledger_Position": position} if position else {}
        path = f"/v1/accounts/{account}/" + ("events?limit=20" if events else "summary")
        asked_at = time.monotonic()
        told = self.told("GET", path, None, **wanted)
        if told is None or told[0] != 200:
            return
        answer = told[1]
        keys, figures = dict[int, str](), None
        if events:
            keys = {event["version"]: event["key"] for event in answer["data"]}
            version = max(keys, default=0)
        else:
            version, figures = answer["version"], figures_of(answer)
        now = time.monotonic()
        self.seen.note(
            [Read(self.name, account, asked_at, now, version, not_before, keys, figures)]
        )
        self._reached(account, version, answer["position"])

    def _reached(self, account: str, version: int, position: str) -> None:
        if version > self._at.get(account, (0, ""))[0]:
            self._at[account] = version, position


class BulkClient(Client):
    """Many commands a request, a line each; those without an answer are sent again."""

    def turn(self) -> None:
        pending = {request.key: request for request in itertools.islice(self.load, LINES)}
        asked_at = time.monotonic()
        while pending:
            done = [
                Command(
                    self.name, pending.pop(line["key"]).account_number, line["key"], asked_at, now,
                    line.get("version", 0), line.get("problem", {}).get("code", ""),
                )
                for line, now in self._lines(pending)
            ]  # fmt: skip  # in the order of the fields
            self.seen.note(done)
            if self.stopping.is_set() or (not done and self.dice.random() < GIVES_UP):
                break
        self.seen.note(
            [Command(self.name, r.account_number, r.key, asked_at) for r in pending.values()]
        )

    def _lines(self, pending: Mapping[str, Request]) -> Iterator[tuple[dict[str, Any], float]]:
        """The lines that tell what became of a command, as far as the answer came."""
        body = b"".join(json.dumps(line(request)).encode() + b"\n" for request in pending.values())
        try:
            status, answered = self.ask(
                "POST", "/v1/commands", body, Content_Type="application/x-ndjson"
            )
        except http.client.IncompleteRead as cut:
            status, answered = 200, cut.partial
        except (OSError, http.client.HTTPException):
            status, answered = 0, b""
        now = time.monotonic()
        self.seen.told[status] += 1
        if status not in (0, 200, 503):
            self.seen.note_odd(f"bulk: {status} {answered[:300]!r}")
        if status != 200:
            self.stopping.wait(AGAIN_S)
            return
        for text in answered.split(b"\n")[:-1]:
            told = json.loads(text)
            if told.get("problem", {}).get("code") not in LATER:
                yield told, now


def figures_of(shown: Mapping[str, Any]) -> Figures:
    """The amounts of an answer that a fold of the log must give at its version."""
    return tuple(shown[name]["amount"] for name in FIGURES)


def line(request: Request) -> dict[str, Any]:
    """A request as a line of bulk commands."""
    kind, data = written(request)
    return {"key": request.key, "account": request.account_number, "type": kind, "data": data}


def written(request: Request) -> tuple[str, dict[str, Any]]:
    """The type and the data of a command of the load, as the contract writes them."""
    command = request.command
    data: dict[str, Any] = {}
    for name in command.__struct_fields__:
        value = getattr(command, name)
        if name == "changes":
            data |= {n: v for n in value.__struct_fields__ if (v := getattr(value, n)) is not None}
        elif name.endswith("_minor") and value is not None:
            data[name.removesuffix("_minor")] = decimal_text(value, "USD")
        elif value not in (None, ()):
            data[name] = value
    return snake_case(type(command).__name__), data
