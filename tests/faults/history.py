"""Checks what clients were told against one order of events for each account, in the way of Elle.

Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from Experimental Observations", 2020: an
account is a list that commands append to. Every answer observed it: an acknowledgement says where
its command stands, a read which prefix there was. What was observed last, the log itself, gives
the order; from it follow the dependencies between transactions, which must not run in a circle.

Commands must look as if they were done one by one between being asked and being told. Reads of
views may lag, but not behind what their client has seen, whose position they name.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from operator import attrgetter

NEVER = math.inf
Figures = tuple[str, ...]


@dataclass(frozen=True)
class Command:
    """A command: accepted at `last`, its last event's version; refused with `code`; or neither,
    when its client was never told."""

    client: str
    account: str
    key: str
    asked_at: float
    told_at: float = NEVER
    last: int = 0
    code: str = ""
    figures: Figures | None = None


@dataclass(frozen=True)
class Read:
    """A read: the version it saw, the keys that it showed by version, and which version the
    position stood for that it was not to be older than."""

    client: str
    account: str
    asked_at: float
    told_at: float
    version: int
    not_before: int = 0
    keys: Mapping[int, str] = field(default_factory=dict)
    figures: Figures | None = None

    @property
    def last(self) -> int:
        return self.version


Transaction = Command | Read


def anomalies(history: Iterable[Transaction], logged: Mapping[str, Sequence[str]]) -> Counter[str]:
    """What cannot have happened, by name; `logged` has the key of every event of each account."""
    found: Counter[str] = Counter()
    by_account = sorted(history, key=attrgetter("account"))
    for account, transactions in groupby(by_account, attrgetter("account")):
        found += Counter(_of_account(list(transactions), logged.get(account, ())))
    return found


def _of_account(history: Sequence[Transaction], keys: Sequence[str]) -> Iterator[str]:
    runs = [(key, len(list(run))) for key, run in groupby(keys)]
    yield from ("doubled" for _, count in Counter(key for key, _ in runs).items() if count > 1)
    ends, version = dict[str, int](), 0
    for key, length in runs:
        version += length
        ends[key] = version
    at_end = {0, *ends.values()}
    for transaction in history:
        if isinstance(transaction, Command):
            yield from _of_command(transaction, ends)
        else:
            yield from _of_read(transaction, keys, at_end)
    yield from ("cycle" for _ in _cycles(_dependencies(history, ends)))


def _of_command(command: Command, ends: Mapping[str, int]) -> Iterator[str]:
    end = ends.get(command.key)
    if command.last and end is None:
        yield "lost"
    elif command.last and end != command.last:
        yield "moved"
    elif command.code and end is not None:
        yield "refused but done"


def _of_read(read: Read, keys: Sequence[str], at_end: set[int]) -> Iterator[str]:
    if read.version > len(keys):
        yield "read what is not there"
    elif read.version not in at_end:
        yield "read half a command"
    if read.version < read.not_before:
        yield "read older than asked"
    if any(version > len(keys) or keys[version - 1] != key for version, key in read.keys.items()):
        yield "read another order"


def _dependencies(history: Sequence[Transaction], ends: Mapping[str, int]) -> list[set[int]]:
    """Which transactions each must precede, by place in the history."""
    edges: list[set[int]] = [set() for _ in history]
    commands = {c.key: n for n, c in enumerate(history) if isinstance(c, Command) and not c.code}
    order = [commands[key] for key in ends if key in commands]
    for before, after in pairwise(order):
        edges[before].add(after)  # ww
    stored = [ends[key] for key in ends if key in commands]
    for n, read in enumerate(history):
        if isinstance(read, Read):
            seen = _count_upto(stored, read.version)
            if seen:
                edges[order[seen - 1]].add(n)  # wr
            if seen < len(order):
                edges[n].add(order[seen])  # rw
    # Where a command stands in the order is also what its client observed.
    claimed = sorted((c.last, n) for c, n in ((history[n], n) for n in commands.values()) if c.last)
    for (_, before), (_, after) in pairwise(claimed):
        edges[before].add(after)
    _add_real_time(list(commands.values()), history, edges)
    by_client: dict[str, list[int]] = defaultdict(list)
    for n, transaction in enumerate(history):
        by_client[transaction.client].append(n)
    for own in by_client.values():
        own.sort(key=lambda n: history[n].asked_at)
        for before, after in pairwise(own):
            # What was asked together, in one request of many lines, is ordered by its lines.
            if history[before].told_at <= history[after].asked_at and _counts(history[before]):
                edges[before].add(after)
    return edges


def _counts(transaction: Transaction) -> bool:
    """Whether its client learnt from it where the account stands."""
    return isinstance(transaction, Read) or transaction.last > 0


def _count_upto(ascending: Sequence[int], most: int) -> int:
    low, high = 0, len(ascending)
    while low < high:
        middle = (low + high) // 2
        if ascending[middle] <= most:
            low = middle + 1
        else:
            high = middle
    return low


def _add_real_time(
    commands: Sequence[int], history: Sequence[Transaction], edges: list[set[int]]
) -> None:
    """A command that was told before another was asked precedes it; those that follow from others
    are left out."""
    moments = sorted(
        [(history[n].asked_at, 1, n) for n in commands]
        + [(history[n].told_at, 0, n) for n in commands if history[n].told_at < NEVER]
    )
    frontier: list[int] = []
    for _, is_asked, n in moments:
        if is_asked:
            for before in frontier:
                edges[before].add(n)
        else:
            asked_at = history[n].asked_at
            frontier = [before for before in frontier if history[before].told_at >= asked_at]
            frontier.append(n)


def _cycles(edges: Sequence[Iterable[int]]) -> Iterator[list[int]]:
    """The strongly connected components of more than one transaction (Tarjan 1972)."""
    index, low = dict[int, int](), dict[int, int]()
    stack: list[int] = []
    on_stack = set[int]()
    for root in range(len(edges)):
        if root in index:
            continue
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        work = [(root, iter(edges[root]))]
        while work:
            node, rest = work[-1]
            for other in rest:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(edges[other])))
                    break
                if other in on_stack:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component = stack[stack.index(node) :]
                    del stack[-len(component) :]
                    on_stack.difference_update(component)
                    if len(component) > 1:
                        yield component
