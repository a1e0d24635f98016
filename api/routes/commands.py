"""Commands on accounts: one table of paths, and one way from a request to the ledger and back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.types import ASGIApp

from api import parameters, refusals
from api.account_reads import ACCOUNT
from api.body import read_object
from api.doors import RegionDoor
from api.entering import Entered, Place, bearer, place
from api.operations import Header, Operation
from api.problems import FieldError, Problem, problem_of
from api.quick import Headers, Reply
from api.replies import Done, done
from api.security.scope import ADJUST, CHANGE_SETTINGS, PAY, POST_MESSAGE, Permission
from api.wire import SCHEMAS, InvalidBody, command
from api.wire_values import KEY as KEY_FORM
from api.wire_values import KEY_SAYS, Field, Reading, identifier, key
from api.wire_values import read_object as read_fields
from ledger import commands as c
from ledger.events import InvoiceIssued
from ledger.store.outcomes import Accepted, Refused

ACCOUNTS = "/v1/accounts"
KEY = Header(
    "Idempotency-Key",
    key.schema,
    "Makes a retry safe: the same key and body are answered as the first time, for ever.",
    required=True,
)
IF_MATCH = Header(
    "If-Match",
    {"type": "string", "minLength": 1},
    "The ETag of the settings that are to be changed, or a list of them, or `*`.",
    required=True,
)
_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
"""RFC 9110, 5.6.1 and 8.8.3: tags that hold no quote but may hold a comma; empty places are passed over."""
_SETTINGS_TAG = re.compile(r'"([1-9][0-9]{0,17})(?:\.[^"]*)?"')
_PARAMETERS = parameters.named(parameters.DRY_RUN)
_NUMBER = {"account_number": Field("account_number", identifier, required=True)}
_NO_STORE = (b"cache-control", b"no-store")
_JSON = (b"content-type", b"application/json")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Route:
    """A command's path below the account.

    `made` names what it creates: the last part of the Location, after the path; empty for a
    transition. `given` are the path's ids.
    """

    type: str
    path: str
    permission: Permission
    says: str
    made: str = ""
    method: str = "POST"

    @property
    def given(self) -> tuple[str, ...]:
        return tuple(re.findall(r"\{(\w+)\}", self.path))


_ROUTES = (
    Route("open_account", "", ADJUST, "Open an account", made="account_number"),
    Route("post_charge", "/charges", ADJUST, "Post a charge", made="charge_id"),
    Route(
        "reverse_charge", "/charges/{charge_id}/reversal", ADJUST, "Reverse a charge not yet billed"
    ),
    Route("issue_credit", "/credits", ADJUST, "Issue a credit", made="credit_id"),
    Route("reverse_credit", "/credits/{credit_id}/reversal", ADJUST, "Reverse a credit"),
    Route("submit_payment", "/payments", PAY, "Submit a payment", made="payment_id"),
    Route(
        "process_payment",
        "/payments/{payment_id}/processed",
        ADJUST,
        "A pending payment was received, in full or in part",
    ),
    Route("fail_payment", "/payments/{payment_id}/failed", ADJUST, "A pending payment failed"),
    Route(
        "return_payment",
        "/payments/{payment_id}/returned",
        ADJUST,
        "Processed money was taken back, in full or in part",
    ),
    Route(
        "reinstate_payment", "/payments/{payment_id}/reinstated", ADJUST, "Returned money came back"
    ),
    Route(
        "unprocess_payment",
        "/payments/{payment_id}/unprocessed",
        ADJUST,
        "A processing was posted in error: the payment is pending again",
    ),
    Route(
        "reallocate_payment",
        "/payments/{payment_id}/reallocated",
        ADJUST,
        "Put a payment's money on other invoices",
    ),
    Route("issue_refund", "/refunds", ADJUST, "Give money back", made="refund_id"),
    Route("reverse_refund", "/refunds/{refund_id}/reversal", ADJUST, "A refund bounced"),
    Route(
        "write_off_invoice",
        "/write-offs",
        ADJUST,
        "Write an open amount off as bad debt",
        made="write_off_id",
    ),
    Route(
        "reverse_write_off", "/write-offs/{write_off_id}/reversal", ADJUST, "Reverse a write-off"
    ),
    Route("open_dispute", "/disputes", ADJUST, "The customer contests an amount", "dispute_id"),
    Route("resolve_dispute", "/disputes/{dispute_id}/resolution", ADJUST, "Resolve a dispute"),
    Route("issue_invoice", "/invoices", ADJUST, "Bill what is unbilled", made="number"),
    Route("cancel_invoice", "/invoices/{number}/cancellation", ADJUST, "Cancel an invoice"),
    Route(
        "change_settings", "/settings", CHANGE_SETTINGS, "Change account settings", method="PATCH"
    ),
    Route("post_message", "/messages", POST_MESSAGE, "Send the customer a message", "message_id"),
    Route("close_account", "/closure", ADJUST, "Close the account"),
)
_OWN_SETTINGS = frozenset(("invoice_delivery", "delivery_channel", "payment_method", "language"))


def command_operations(doors: Mapping[str, RegionDoor]) -> list[Operation]:
    """An operation for each command on an account."""
    return [_operation(route, doors) for route in _ROUTES]


def _operation(route: Route, doors: Mapping[str, RegionDoor]) -> Operation:
    body = _body_schema(route)
    is_settings = route.type == "change_settings"
    endpoint = CommandEndpoint(route, doors, needs_body="required" in body)
    return Operation(
        method=route.method,
        path=ACCOUNTS if route.type == "open_account" else ACCOUNT + route.path,
        name=route.type,
        says=route.says,
        tag="commands",
        permission=route.permission,
        handle=endpoint,
        parameters=_PARAMETERS,
        headers=(KEY, IF_MATCH) if is_settings else (KEY,),
        body=body,
        body_required=endpoint.needs_body,
        replies={200: Done, 201: Done} if route.made else {200: Done},
        codes=(*refusals.OF_ANY, *refusals.OF[route.type]),
    )


def _body_schema(route: Route) -> dict[str, Any]:
    """The command's schema without what the path gives."""
    schema = SCHEMAS[route.type]
    properties = {n: s for n, s in schema["properties"].items() if n not in route.given}
    required = [name for name in schema.get("required", ()) if name in properties]
    if route.type == "open_account":
        properties = {"account_number": identifier.schema, **properties}
        required = ["account_number", *required]
    return {
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


class CommandEndpoint:
    """Takes one command a request: who asks first, then what, then the ledger."""

    def __init__(self, route: Route, doors: Mapping[str, RegionDoor], *, needs_body: bool) -> None:
        self.needs_body = needs_body
        self._route = route
        self._doors = doors

    async def __call__(self, request: Request) -> ASGIApp:
        region, token = bearer(request.headers.get("authorization", ""), self._doors.__contains__)
        door = self._doors[region]
        today = door.today()
        opens = self._route.type == "open_account"
        at = None if opens else place(region, request.path_params["account_number"])
        entered = await door.enter(self._route.permission, token, at)
        found = parameters.parsed(request.scope["query_string"], _PARAMETERS)
        key = idempotency_key(request)
        if_settings = _if_settings(request) if self._route.type == "change_settings" else None
        body = await read_object(request, may_lack=not self.needs_body)
        if opens:
            at = place(region, _taken_number(body))
        assert at is not None
        asked = self._command(request, body, entered.currency or door.region.currency)
        _refuse_beyond(entered, asked)
        outcome = await self._outcome(
            door,
            c.Request(
                account_number=at.number,
                key=key,
                command=asked,
                actor=entered.principal.actor,
                today=today,
                dry_run=found.get("dry_run", False),
                if_settings=if_settings,
            ),
        )
        currency = asked.currency if isinstance(asked, c.OpenAccount) else entered.currency
        assert currency is not None
        return self._answer(outcome, at, currency, dry_run=found.get("dry_run", False))

    def _command(self, request: Request, body: dict[str, Any], currency: str) -> c.AnyCommand:
        given = {name: request.path_params[name] for name in self._route.given}
        try:
            if in_both := given.keys() & body.keys():
                says = "it stands in the path: leave it out here"
                raise InvalidBody([FieldError(f"/{n}", "unknown_field", says) for n in in_both])
            return command(self._route.type, {**body, **given}, currency=currency)
        except InvalidBody as fault:
            raise fault.problem from None

    async def _outcome(self, door: RegionDoor, asked: c.Request) -> Accepted:
        outcome = await door.handle_one(asked)
        if isinstance(outcome, Refused):
            raise problem_of(outcome.refusal)
        return outcome

    def _answer(self, accepted: Accepted, at: Place, currency: str, *, dry_run: bool) -> Reply:
        body = _encode(done(accepted, currency))
        headers: Headers = [_NO_STORE, _JSON, (b"content-length", b"%d" % len(body))]
        if accepted.position is not None:
            position = b"%d-%d" % (accepted.lane, accepted.position)
            headers.append((b"ledger-position", position))
        if accepted.replayed:
            headers.append((b"idempotency-replayed", b"true"))
        is_made = bool(self._route.made) and not (dry_run and accepted.position is None)
        if is_made:
            headers.append((b"location", self._location(accepted, at).encode()))
        return Reply(201 if is_made else 200, headers, body)

    def _location(self, accepted: Accepted, at: Place) -> str:
        account = f"{ACCOUNTS}/{quote(at.number, safe='')}"
        if self._route.type == "open_account":
            return account
        event = accepted.events[0].event
        name = "number" if isinstance(event, InvoiceIssued) else self._route.made
        return f"{account}{self._route.path}/{quote(getattr(event, name), safe='')}"


def idempotency_key(request: Request) -> str:
    """The key of a request; raises Problem (400)."""
    given = request.headers.get("idempotency-key")
    if given is None:
        detail = "send a header Idempotency-Key, and the same one when you try again"
        raise Problem("idempotency_key_missing", detail)
    if not KEY_FORM.fullmatch(given):
        raise Problem("malformed_request", f"an Idempotency-Key is {KEY_SAYS}")
    return given


def _if_settings(request: Request) -> frozenset[int] | None:
    """The versions of which the settings must be one, None for any (RFC 9110, 13.1.1).

    Tags are compared strongly: weak ones match nothing, nor does what was never given out.
    """
    given = request.headers.get("if-match")
    if given is None:
        detail = "send If-Match with the ETag of the settings you have read"
        raise Problem("precondition_required", detail)
    if given.strip() == "*":
        return None
    if not _TAGS.fullmatch(given):
        return frozenset()
    tags = (_SETTINGS_TAG.fullmatch(tag) for tag in re.findall(_TAG, given))
    return frozenset(int(tag[1]) for tag in tags if tag)


def _taken_number(body: dict[str, Any]) -> str:
    """The number of the account to open, out of the body; raises Problem (422)."""
    reading = Reading("USD")  # no amount is read
    found = read_fields(reading, "", {"account_number": body.pop("account_number", None)}, _NUMBER)
    if reading.errors:
        raise InvalidBody(reading.errors).problem
    number: str = found["account_number"]
    return number


def _refuse_beyond(entered: Entered, asked: c.AnyCommand) -> None:
    """Raises Problem (403) for what a customer may not decide about their own account."""
    if entered.principal.role != "customer":
        return
    if isinstance(asked, c.SubmitPayment) and asked.status != "pending":
        raise Problem("forbidden", "only who receives a payment can say that it is processed")
    if isinstance(asked, c.ChangeSettings):
        changes = msgspec.structs.asdict(asked.changes)
        beyond = [n for n, v in changes.items() if v is not None and n not in _OWN_SETTINGS]
        if beyond:
            raise Problem("forbidden", f"{', '.join(beyond)} can only be changed by the biller")
