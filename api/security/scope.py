"""What each role may do, and which scope a service token needs for it; decided inside the query.

The one place of authorisation: every operation names one of these.
"""

from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["customer", "support", "finance", "auditor", "admin"]
Scope = Literal["accounts:read", "commands", "finance", "audit"]
ROLES: tuple[Role, ...] = get_args(Role)
SCOPES: tuple[Scope, ...] = get_args(Scope)
ANY_SERVICE: Literal["*"] = "*"


@dataclass(frozen=True)
class Permission:
    """A thing to be done, on an account or in the region: who may, of what they see.

    `scope` is what a service token must have: None for nothing a service may do, ANY_SERVICE for
    what any may. `with_password_due`: also for who must change their password before anything else.
    """

    name: str
    roles: tuple[Role, ...]
    scope: Scope | Literal["*"] | None
    with_password_due: bool = False


PUBLIC = Permission("public", (), None)
"""For everybody, signed in or not."""
OWN_SESSION = Permission("own session", ROLES, None)
OWN_SIGN_IN = Permission("own sign-in", ROLES, None, with_password_due=True)
WHO_AM_I = Permission("who am I", ROLES, ANY_SERVICE, with_password_due=True)
READ_ACCOUNT = Permission(
    "read account", ("customer", "support", "finance", "auditor"), "accounts:read"
)
PAY = Permission("pay", ("customer", "finance"), "commands")
CHANGE_SETTINGS = Permission("change settings", ("customer", "finance"), "commands")
POST_MESSAGE = Permission("post message", ("support", "finance"), "commands")
ADJUST = Permission("adjust account", ("finance",), "commands")
CLOSE_MONTH = Permission("close month", ("finance",), "finance")
READ_BOOKS = Permission("read books", ("finance", "auditor"), "finance")
DUN = Permission("dun", ("finance",), "finance")
READ_FEED = Permission("read feed", ("auditor",), "audit")
KEEP_LOGINS = Permission("keep logins and tokens", ("admin",), None)

PERMISSIONS = (
    PUBLIC,
    OWN_SESSION,
    OWN_SIGN_IN,
    WHO_AM_I,
    READ_ACCOUNT,
    PAY,
    CHANGE_SETTINGS,
    POST_MESSAGE,
    ADJUST,
    CLOSE_MONTH,
    READ_BOOKS,
    DUN,
    READ_FEED,
    KEEP_LOGINS,
)
