"""Events as bytes: JSON bodies under registered topics, strict on read, upcast when old.

A stored topic is `<name>:<schema version>`. Names are given here, never taken from import paths,
so classes can move. A body is {"key", "actor", "data": the event's fields}. Where a field is
re-meant, the version goes up and an upcast turns the older body into the newer one's form.
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec
from eventsourcing.persistence import Mapper, MapperDeserialisationError, StoredEvent

from ledger.commands import snake_case
from ledger.events import EVENTS, Event

E = TypeVar("E")
Upcast = Callable[[dict[str, Any]], dict[str, Any]]

TOPICS: Mapping[str, type[Event]] = {snake_case(cls.__name__): cls for cls in EVENTS}
"""Every event by the name in its topic: published, so a class that is renamed keeps its entry."""

SCHEMA_VERSIONS: Mapping[str, int] = {}
"""Topics whose bodies are past their first version."""

UPCASTS: Mapping[tuple[str, int], Upcast] = {}
"""What turns a body's data of (name, version) into the form of the next version."""


class Body(msgspec.Struct, Generic[E], frozen=True, forbid_unknown_fields=True, gc=False):
    """What is stored and hashed of an event."""

    key: str
    actor: str
    data: E


class Recorded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event of an account, with the key and the principal of the command that caused it."""

    account_id: UUID
    version: int
    key: str
    actor: str
    event: Event


class EventMapper(Mapper[UUID]):
    """Turns recorded events into stored ones and back.

    The default mapper rebuilds events through `__dict__` without validation and cannot take
    msgspec types, so both directions are replaced; there is no transcoder, compressor or cipher.
    """

    def __init__(
        self,
        topics: Mapping[str, type[Event]] = TOPICS,
        versions: Mapping[str, int] = SCHEMA_VERSIONS,
        upcasts: Mapping[tuple[str, int], Upcast] = UPCASTS,
    ) -> None:
        # Mapper.__init__ only keeps a transcoder, compressor and cipher: nothing here uses them.
        self._encode = msgspec.json.Encoder().encode
        self._upcasts = upcasts
        self._topic_of: dict[type[Event], str] = {}
        self._decoders: dict[str, Callable[[bytes], Body[Any]]] = {}
        self._newest: dict[str, int] = {}
        for name, cls in topics.items():
            version = versions.get(name, 1)
            self._newest[name] = version
            self._topic_of[cls] = f"{name}:{version}"
            decoder = msgspec.json.Decoder(Body[cls])  # type: ignore[valid-type] # a type at run time
            self._decoders[f"{name}:{version}"] = decoder.decode

    def body(self, event: Event, key: str, actor: str) -> tuple[str, bytes]:
        """The topic and the bytes to store of an event."""
        return self._topic_of[type(event)], self._encode(Body(key, actor, event))

    def read(self, topic: str, state: bytes) -> Body[Any]:
        """The body of a stored event; raises MapperDeserialisationError when it is none."""
        decode = self._decoders.get(topic)
        try:
            return decode(state) if decode else self._upcast(topic, state)
        except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
            raise MapperDeserialisationError(f"a body of topic {topic!r}: {fault}") from fault

    def to_stored_event(self, domain_event: Recorded) -> StoredEvent:  # type: ignore[override] # carries its envelope
        """The stored form of a recorded event."""
        topic, state = self.body(domain_event.event, domain_event.key, domain_event.actor)
        return StoredEvent(domain_event.account_id, domain_event.version, topic, state)

    def to_domain_event(self, stored_event: StoredEvent) -> Recorded:  # type: ignore[override] # carries its envelope
        """The recorded event of a stored one; raises MapperDeserialisationError."""
        body = self.read(stored_event.topic, stored_event.state)
        assert isinstance(stored_event.originator_id, UUID), stored_event.originator_id
        return Recorded(
            account_id=stored_event.originator_id,
            version=stored_event.originator_version,
            key=body.key,
            actor=body.actor,
            event=body.data,
        )

    def _upcast(self, topic: str, state: bytes) -> Body[Any]:
        name, _, number = topic.rpartition(":")
        newest = self._newest.get(name)
        if newest is None or not number.isdecimal() or not 0 < int(number) < newest:
            raise MapperDeserialisationError(f"topic {topic!r} is not known to this release")
        old = msgspec.json.decode(state, type=Body[dict[str, Any]])
        data = old.data
        for version in range(int(number), newest):
            data = self._upcasts[name, version](data)
        newer = Body(old.key, old.actor, data)
        return self._decoders[f"{name}:{newest}"](self._encode(newer))
