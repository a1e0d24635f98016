"""Stored events: strict on read, readable for ever, with published schemas."""

from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from eventsourcing.persistence import MapperDeserialisationError, StoredEvent

from ledger.events import EVENTS, ChargePosted, Event
from ledger.store import schemas
from ledger.store.mapper import SCHEMA_VERSIONS, TOPICS, UPCASTS, EventMapper, Recorded

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "tests" / "samples" / "events").glob("*.json"))
ID = UUID(int=7)


def topic_of(sample: Path) -> str:
    name, version = sample.stem.split(".")
    return f"{name}:{version}"


def stored(topic: str, state: bytes) -> StoredEvent:
    return StoredEvent(ID, 3, topic, state)


def test_every_event_has_a_topic_of_its_own() -> None:
    """Topics are registered one by one, none is missing, and none is shared."""
    assert list(TOPICS.values()) == list(EVENTS)
    assert len(set(TOPICS)) == len(EVENTS)


def test_every_version_of_every_event_has_a_sample() -> None:
    """There is a sample of every event at every schema version that was ever released."""
    released = {
        f"{name}:{version}"
        for name in TOPICS
        for version in range(1, SCHEMA_VERSIONS.get(name, 1) + 1)
    }
    assert {topic_of(sample) for sample in SAMPLES} == released


@pytest.mark.parametrize("sample", SAMPLES, ids=topic_of)
def test_samples_load_for_ever(sample: Path) -> None:
    """What was stored once is read today; what is of today's schema is written as it was read."""
    mapper = EventMapper()
    state = sample.read_bytes().rstrip()
    recorded = mapper.to_domain_event(stored(topic_of(sample), state))
    assert type(recorded.event) is TOPICS[topic_of(sample).split(":")[0]]
    again = mapper.to_stored_event(recorded)
    assert mapper.to_domain_event(again) == recorded
    if again.topic == topic_of(sample):
        assert again == stored(topic_of(sample), state)


def test_schemas_are_published() -> None:
    """docs/events holds the schema of every event as `python -m ledger.store.schemas` writes it."""
    published = {path.name: path.read_bytes() for path in (ROOT / "docs/events").glob("*.json")}
    assert published == schemas.schemas(), (
        "run .venv/bin/python -m ledger.store.schemas docs/events"
    )


def test_schemas_are_written_and_old_ones_removed(tmp_path: Path) -> None:
    """Writing the schemas leaves exactly theirs in the directory."""
    (tmp_path / "gone.json").write_text("{}")
    schemas.main(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.json" for name in TOPICS}


CHARGE = {
    "effective_on": "2020-07-01",
    "charge_id": "c1",
    "amount_minor": 100,
    "category": "usage",
    "description": "a call",
}


def body(**changes: object) -> bytes:
    data = {k: v for k, v in {**CHARGE, **changes}.items() if v is not None}
    return msgspec.json.encode({"key": "k", "actor": "a", "data": data})


@pytest.mark.parametrize(
    ("topic", "state"),
    [
        ("charge_posted:1", body(colour="red")),
        ("charge_posted:1", body(amount_minor="100")),
        ("charge_posted:1", body(amount_minor=100.0)),
        ("charge_posted:1", body(amount_minor="not a number")),
        ("charge_posted:1", body(effective_on="2020-02-30")),
        ("charge_posted:1", body(charge_id=None)),
        ("charge_posted:1", b'{"key":"k","actor":"a","data":{},"more":1}'),
        ("charge_posted:1", b"{"),
        ("charge_posted:1", b"\xff"),
        ("charge_posted:2", body()),
        ("charge_posted:0", body()),
        ("charge_posted", body()),
        ("ledger.events:ChargePosted", body()),
        ("charge_invented:1", body()),
    ],
)
def test_what_is_no_event_is_refused(topic: str, state: bytes) -> None:
    """An unknown field, a wrong type, a missing field, broken JSON, an unknown topic or version."""
    mapper = EventMapper()
    assert isinstance(mapper.to_domain_event(stored("charge_posted:1", body())).event, ChargePosted)
    with pytest.raises(MapperDeserialisationError):
        mapper.to_domain_event(stored(topic, state))


class PriceSet(Event):
    """An event known to this test only: version 1 held whole units, version 3 names its currency."""

    price_minor: int
    currency: str


def in_minor_units(data: dict[str, Any]) -> dict[str, Any]:
    return {"effective_on": data["effective_on"], "price_minor": data["price"] * 100}


def with_currency(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "currency": "USD"}


def test_old_bodies_are_upcast_step_by_step() -> None:
    """A body two versions old is read in today's form; today's body is not touched."""
    mapper = EventMapper(
        {"price_set": PriceSet},
        {"price_set": 3},
        {("price_set", 1): in_minor_units, ("price_set", 2): with_currency},
    )
    today = Recorded(
        account_id=ID,
        version=3,
        key="k",
        actor="a",
        event=PriceSet(effective_on=date(2020, 7, 1), price_minor=700, currency="USD"),
    )
    for topic, data in (
        ("price_set:1", {"effective_on": "2020-07-01", "price": 7}),
        ("price_set:2", {"effective_on": "2020-07-01", "price_minor": 700}),
        ("price_set:3", {"effective_on": "2020-07-01", "price_minor": 700, "currency": "USD"}),
    ):
        state = msgspec.json.encode({"key": "k", "actor": "a", "data": data})
        assert mapper.to_domain_event(stored(topic, state)) == today
    assert mapper.to_stored_event(today).topic == "price_set:3"
    with pytest.raises(MapperDeserialisationError):
        mapper.to_domain_event(stored("price_set:4", state))


def test_every_upcast_leads_to_a_released_version() -> None:
    """The steps registered are exactly those between released versions."""
    steps = {
        (name, version) for name, newest in SCHEMA_VERSIONS.items() for version in range(1, newest)
    }
    assert set(UPCASTS) == steps
