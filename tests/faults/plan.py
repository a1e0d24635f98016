"""The faults of a campaign: each is done to a fleet under load, and undone where it would last."""

import random
import time
from collections.abc import Callable
from typing import NamedTuple

import psutil
import psycopg

from tests.faults.clients import Seen
from tests.faults.fleet import Fleet, until
from tests.faults.proxying import Ailment

LASTS_S_MAX = 0.6
"""How long an ailment lasts at most; less when clients get on meanwhile."""
MEANWHILE = 60
PROGRESS_S_MAX = 60.0
SECONDS_A_FAULT_MAX = 10.0

Fault = Callable[[Fleet, Seen, random.Random], bool]
"""Does it; whether it could be done. Raises AssertionError when the fleet does not take it well."""


def kill_worker(fleet: Fleet, seen: Seen, dice: random.Random) -> bool:
    """kill -9 of the process that answers."""
    return dice.choice(fleet.services).kill_child(listens=True)


def kill_follower(fleet: Fleet, seen: Seen, dice: random.Random) -> bool:
    """kill -9 of the process that keeps the views up."""
    return dice.choice(fleet.services).kill_child(listens=False)


def kill_service(fleet: Fleet, seen: Seen, dice: random.Random) -> bool:
    """kill -9 of a whole service, all its processes at once."""
    dice.choice(fleet.services).kill(children_too=True)
    return True


def kill_parent(fleet: Fleet, seen: Seen, dice: random.Random) -> bool:
    """kill -9 of a service's first process; its children end by themselves."""
    dice.choice(fleet.services).kill(children_too=False)
    return True


def restart_service(fleet: Fleet, seen: Seen, dice: random.Random) -> bool:
    """SIGTERM: it ends in order, with exit code 0, and starts again."""
    dice.choice(fleet.services).restart()
    return True


def kill_server(fleet: Fleet, seen: Seen, dice: random.Random) -> bool:
    """kill -9 of PostgreSQL's first process."""
    until(lambda: fleet.postmaster() is not None, "PostgreSQL is back")
    postmaster = fleet.postmaster()
    assert postmaster is not None
    postmaster.kill()
    return True


def kill_backend(fleet: Fleet, seen: Seen, dice: random.Random) -> bool:
    """kill -9 of the process of one session: PostgreSQL ends all others and recovers."""
    backends = fleet.backends()
    if backends:
        dice.choice(backends).kill()
    return bool(backends)


def end_session(fleet: Fleet, seen: Seen, dice: random.Random) -> bool:
    """One session of a service is ended by an administrator."""
    backends = fleet.backends()
    if not backends:
        return False
    with psycopg.connect(fleet.server.admin_url(), autocommit=True) as admin:
        [ended] = admin.execute(
            b"SELECT pg_terminate_backend(%s)", (dice.choice(backends).pid,)
        ).fetchone() or (False,)
    return bool(ended)


def pause_backend(fleet: Fleet, seen: Seen, dice: random.Random) -> bool:
    """The process of one session does nothing for a while, whatever it holds."""
    backends = fleet.backends()
    if not backends:
        return False
    paused = dice.choice(backends)
    paused.suspend()
    try:
        seen.more(MEANWHILE, LASTS_S_MAX)
    finally:
        paused.resume()
    return True


def hold_lanes(fleet: Fleet, seen: Seen, dice: random.Random) -> bool:
    """A transaction of somebody else holds some lanes' heads for a while."""
    lanes = dice.sample(range(64), 20)
    assert fleet.database.owner_url is not None
    with psycopg.connect(fleet.database.owner_url) as owner:
        owner.execute(
            b"SELECT h.lane FROM ledger.lane_head AS h WHERE h.lane = ANY (%s)"
            b" ORDER BY h.lane FOR UPDATE",
            (lanes,),
        )
        seen.more(MEANWHILE, LASTS_S_MAX)
    return True


def reset_connections(fleet: Fleet, seen: Seen, dice: random.Random) -> bool:
    """Every connection of a service to its database is cut."""
    dice.choice(fleet.proxies).reset()
    return True


def _ailing(ailment: Ailment, *, then_cut: bool = False) -> Fault:
    def fault(fleet: Fleet, seen: Seen, dice: random.Random) -> bool:
        proxy = dice.choice(fleet.proxies)
        proxy.fall_ill(ailment)
        seen.more(MEANWHILE, LASTS_S_MAX)
        if then_cut:
            proxy.reset()
        proxy.heal()
        return True

    return fault


def kill_consumer(fleet: Fleet, seen: Seen, dice: random.Random) -> bool:
    """kill -9 of a consumer of the feed."""
    dice.choice(fleet.consumers).kill()
    return True


PLAN: dict[str, tuple[Fault, int]] = {
    "worker -9": (kill_worker, 6),
    "follower -9": (kill_follower, 6),
    "service -9": (kill_service, 2),
    "parent -9": (kill_parent, 1),
    "service SIGTERM": (restart_service, 2),
    "PostgreSQL -9": (kill_server, 3),
    "backend -9": (kill_backend, 3),
    "session ended": (end_session, 18),
    "backend paused": (pause_backend, 4),
    "lanes held": (hold_lanes, 4),
    "connections cut": (reset_connections, 14),
    "slow": (_ailing("slow"), 6),
    "trickling": (_ailing("trickling"), 6),
    "black hole": (_ailing("black hole"), 4),
    "black hole, then cut": (_ailing("black hole", then_cut=True), 4),
    "consumer -9": (kill_consumer, 5),
}
"""Each fault, and how often one campaign does it."""

PASSING = (psycopg.OperationalError, psutil.NoSuchProcess)
"""What a fault meets when the server is down from the one before: it is done later."""


class Done(NamedTuple):
    """A fault that was done: when, for how long, and how many commands were acknowledged by then."""

    at_s: float
    name: str
    lasted_s: float
    accepted: int


def campaign(dice: random.Random, fleet: Fleet, seen: Seen, between: int) -> list[Done]:
    """Does every fault of the plan as often as it says, in an order of the dice, each after some
    commands more were acknowledged."""
    waiting = [name for name, (_, times) in PLAN.items() for _ in range(times)]
    dice.shuffle(waiting)
    done: list[Done] = []
    began = time.monotonic()
    deadline = began + SECONDS_A_FAULT_MAX * len(waiting)
    while waiting:
        assert seen.more(dice.randint(0, 2 * between), PROGRESS_S_MAX), (
            f"no progress after {done[-3:]}"
        )
        assert not seen.odd, seen.odd
        assert time.monotonic() < deadline, f"{len(waiting)} faults are left"
        for served in fleet.services:
            served.revive()
        name, at = waiting.pop(), time.monotonic()
        try:
            is_done = PLAN[name][0](fleet, seen, dice)
        except PASSING:
            is_done = False
        if is_done:
            now = time.monotonic()
            done.append(Done(round(at - began, 2), name, round(now - at, 2), seen.accepted))
        else:
            waiting.insert(0, name)
    return done
