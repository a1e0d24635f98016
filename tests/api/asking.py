"""Operations as tests find them."""

from collections.abc import Mapping

from api.app import operations
from api.operations import Operation
from api.wiring import Database, Doors


def operations_of(databases: Mapping[str, Database]) -> list[Operation]:
    """Everything that a service over these databases can do."""
    return operations(Doors(tuple(databases.values())))
