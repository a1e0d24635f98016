"""What each role may do, and which scope a service token needs for it; decided inside the query."""

from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["customer", "support", "finance", "auditor", "admin"]
Scope = Literal["accounts:read", "commands", "finance", "audit"]
ROLES: tuple[Role, ...] = get_args(Role)
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True)
class Permission:
    """A thing to be done on an account: who may, on the accounts they see."""

    roles: tuple[Role, ...]
    scope: Scope


READ_ACCOUNT = Permission(
    roles=("customer", "support", "finance", "auditor"), scope="accounts:read"
)
