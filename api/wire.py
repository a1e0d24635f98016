"""Commands of the HTTP contract, from their JSON: the body of an endpoint, or a line of bulk input."""

from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any

import msgspec

from api import wire_values as v
from api.nesting import DEPTH_MAX, is_too_deep
from api.problems import CODES, FieldError, Problem
from api.wire_values import Field, Reading, read_object
from ledger import commands as c
from ledger.importing import Fault
from ledger.parts import Settings, SettingsChange

TARGETS_MAX = 500
_DETAIL_MAX = 500
CURRENCIES_KEPT_MAX = 100_000
"""Accounts whose currency a decoder of lines remembers."""

_METHOD = v.one_of("cash_check", "card", "bank_transfer", "direct_debit")
_REASON = v.text(500, required=True)
_EFFECTIVE_ON = Field("effective_on", v.day)
_WHY = Field("reason", v.text(500))
_AMOUNT = Field("amount", v.amount, into="amount_minor")
_SETTINGS = (
    Field("invoice_delivery", v.one_of("full_detail", "summary")),
    Field("delivery_channel", v.one_of("paper", "electronic")),
    Field("payment_method", _METHOD),
    Field("language", v.language),
)


class InvalidBody(Exception):
    """A body that is not the command's; it tells everything that is wrong."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__(
            "; ".join(f"{e.pointer}: {e.message}" if e.pointer else e.message for e in errors)
        )
        self.errors = tuple(errors)

    @property
    def problem(self) -> Problem:
        """The problem it is answered with: of the one code that all its faults have, if there is."""
        codes = {error.code for error in self.errors}
        code = codes.pop() if len(codes) == 1 else ""
        return Problem(
            code if code in CODES else "invalid_request",
            str(self)[:_DETAIL_MAX],
            errors=self.errors,
        )


def _id(name: str) -> Field:
    return Field(name, v.identifier, required=True)


def _change_settings(effective_on: date | None = None, **changes: Any) -> c.ChangeSettings:
    return c.ChangeSettings(changes=SettingsChange(**changes), effective_on=effective_on)


_target = v.object_of(
    c.Target,
    Field("invoice", v.invoice, required=True),
    Field("amount", v.amount, required=True, into="amount_minor"),
)

_BODIES: tuple[tuple[Callable[..., c.AnyCommand], str, tuple[Field, ...]], ...] = (
    (
        c.OpenAccount,
        "open_account",
        (
            Field("client_id", v.identifier),
            Field("company", v.text(200, required=True), required=True),
            Field("country", v.text(64, required=True), required=True),
            Field("currency", v.currency),
            Field("billing_cycle", v.billing_cycle),
            Field("terms", v.terms, required=True),
            Field("settings", v.object_of(Settings, *_SETTINGS)),
            Field("opened_on", v.day),
        ),
    ),
    (
        _change_settings,
        "change_settings",
        (
            *_SETTINGS,
            Field("billing_cycle", v.billing_cycle),
            Field("terms", v.terms),
            _EFFECTIVE_ON,
        ),
    ),
    (
        c.PostCharge,
        "post_charge",
        (
            _id("charge_id"),
            Field("amount", v.amount_or_zero, required=True, into="amount_minor"),
            Field("taxes", v.taxes),
            Field("description", v.text(500, required=True), required=True),
            Field("category", v.text(64, required=True), required=True),
            _EFFECTIVE_ON,
            Field("quantity", v.decimal),
            Field("unit_price", v.decimal),
        ),
    ),
    (c.ReverseCharge, "reverse_charge", (_id("charge_id"), _WHY, _EFFECTIVE_ON)),
    (
        c.IssueCredit,
        "issue_credit",
        (
            _id("credit_id"),
            Field("amount", v.amount, required=True, into="amount_minor"),
            Field("applies_to", v.one_of("invoice", "account", "next_invoice"), required=True),
            Field("invoice", v.invoice),
            Field("reason", _REASON, required=True),
            Field("taxes", v.taxes),
            _EFFECTIVE_ON,
        ),
    ),
    (c.ReverseCredit, "reverse_credit", (_id("credit_id"), _WHY, _EFFECTIVE_ON)),
    (
        c.SubmitPayment,
        "submit_payment",
        (
            _id("payment_id"),
            Field("pay", v.one_of("total", "invoice", "amount"), required=True),
            _AMOUNT,
            Field("invoice", v.invoice),
            Field("method", _METHOD, required=True),
            Field("reference", v.text(500)),
            _EFFECTIVE_ON,
            Field("status", v.one_of("pending", "processed")),
        ),
    ),
    (
        c.ProcessPayment,
        "process_payment",
        (_id("payment_id"), _AMOUNT, _EFFECTIVE_ON, Field("reference", v.text(500))),
    ),
    (
        c.FailPayment,
        "fail_payment",
        (_id("payment_id"), Field("reason", _REASON, required=True), _EFFECTIVE_ON),
    ),
    (
        c.ReturnPayment,
        "return_payment",
        (_id("payment_id"), _AMOUNT, Field("reason", _REASON, required=True), _EFFECTIVE_ON),
    ),
    (c.ReinstatePayment, "reinstate_payment", (_id("payment_id"), _EFFECTIVE_ON)),
    (c.UnprocessPayment, "unprocess_payment", (_id("payment_id"), _EFFECTIVE_ON)),
    (
        c.ReallocatePayment,
        "reallocate_payment",
        (_id("payment_id"), Field("targets", v.list_of(_target, TARGETS_MAX)), _EFFECTIVE_ON),
    ),
    (
        c.IssueRefund,
        "issue_refund",
        (
            _id("refund_id"),
            Field("amount", v.amount, required=True, into="amount_minor"),
            Field("payment_id", v.identifier),
            Field("method", _METHOD, required=True),
            Field("reason", _REASON, required=True),
            _EFFECTIVE_ON,
        ),
    ),
    (c.ReverseRefund, "reverse_refund", (_id("refund_id"), _WHY, _EFFECTIVE_ON)),
    (
        c.WriteOffInvoice,
        "write_off_invoice",
        (
            _id("write_off_id"),
            Field("invoice", v.invoice, required=True),
            _AMOUNT,
            Field("reason", _REASON, required=True),
            _EFFECTIVE_ON,
        ),
    ),
    (c.ReverseWriteOff, "reverse_write_off", (_id("write_off_id"), _WHY, _EFFECTIVE_ON)),
    (
        c.OpenDispute,
        "open_dispute",
        (
            _id("dispute_id"),
            Field("invoice", v.invoice, required=True),
            _AMOUNT,
            Field("reason", _REASON, required=True),
            _EFFECTIVE_ON,
        ),
    ),
    (
        c.ResolveDispute,
        "resolve_dispute",
        (
            _id("dispute_id"),
            Field("outcome", v.one_of("upheld", "rejected"), required=True),
            _AMOUNT,
            _EFFECTIVE_ON,
        ),
    ),
    (
        c.IssueInvoice,
        "issue_invoice",
        (
            Field("period_end", v.day),
            Field("number", v.given_number),
            Field("issued_on", v.day),
            Field("due_on", v.day),
        ),
    ),
    (
        c.CancelInvoice,
        "cancel_invoice",
        (Field("number", v.invoice, required=True), _WHY, _EFFECTIVE_ON),
    ),
    (
        c.PostMessage,
        "post_message",
        (
            _id("message_id"),
            Field("text", v.text(10_000, required=True, lines=True), required=True),
            _EFFECTIVE_ON,
        ),
    ),
    (c.CloseAccount, "close_account", (_WHY, Field("final_bill", v.flag), _EFFECTIVE_ON)),
)
_MAKES = {type: (make, {field.name: field for field in fields}) for make, type, fields in _BODIES}

SCHEMAS = {type: v.schema_of(fields) for type, (_, fields) in _MAKES.items()}
"""The JSON schema of every command's body with its path ids, by the command's name."""

TYPES = tuple(_MAKES)
"""The name of every command, as bulk input gives it."""


def command(type: str, body: object, *, currency: str) -> c.AnyCommand:
    """The command of that type, from the endpoint's body with its path ids put in.

    Bare amounts are in `currency`, the account's (for open_account: the region's, which an account
    gets that names none). Raises InvalidBody with all that is wrong; KeyError for another type.
    """
    make, fields = _MAKES[type]
    reading = Reading(currency)
    found = read_object(reading, "", body, fields)
    if reading.errors:
        raise InvalidBody(reading.errors)
    if make is c.OpenAccount:
        found.setdefault("currency", currency)
    return make(**found)


_LINE = {
    field.name: field
    for field in (
        Field("key", v.key, required=True),
        Field("account", v.identifier, required=True),
        Field("type", v.one_of(*TYPES), required=True),
        Field(
            "data",
            v.takes({"type": "object"})(lambda reading, pointer, value: value),
            required=True,
        ),
    )
}
LINE_SCHEMA = {
    **v.schema_of(_LINE),
    "description": "`data` is the body of the command's own endpoint with its path ids.",
}
"""The JSON schema of a line."""


class _Named(msgspec.Struct):
    account: Any = None


_decode_named = msgspec.json.Decoder(_Named).decode


def account_named(line: bytes) -> str | None:
    """The account that a line names, as far as it is one."""
    try:
        named = _decode_named(line).account
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return named if isinstance(named, str) else None


class Lines:
    """Decodes lines {"key", "account", "type", "data"} of bulk input into requests.

    `currency_of` gives the currency of an account that exists, else None. An account that there is
    not, and that an earlier line opens, has the currency of that line. Whether it is so when the
    request is decided, the ledger sees: the request says what its amounts were read in.
    """

    def __init__(
        self,
        *,
        currency: str,
        currency_of: Callable[[str], str | None],
        today: date,
        actor: str,
    ) -> None:
        self._currency = currency
        self._currency_of = lru_cache(CURRENCIES_KEPT_MAX)(currency_of)
        self._opened: dict[str, str] = {}
        self._today = today
        self._actor = actor

    def request(self, line: bytes) -> c.Request:
        """The request that a line asks for; raises InvalidBody."""
        reading = Reading(self._currency)
        found = read_object(reading, "", _json(line), _LINE)
        if reading.errors:
            raise InvalidBody(reading.errors)
        account, data = found["account"], found["data"]
        if found["type"] == "open_account":
            data = _without_number(account, data)
        currency = self._kept_in(account, found["type"])
        try:
            asked = command(found["type"], data, currency=currency)
        except InvalidBody as fault:
            errors = [_within_data(error) for error in fault.errors]
            raise InvalidBody(errors) from None
        if isinstance(asked, c.OpenAccount) and asked.currency != self._currency:
            self._opened[account] = asked.currency
        return c.Request(
            account_number=account,
            key=found["key"],
            command=asked,
            actor=self._actor,
            today=self._today,
            currency=currency,
        )

    def request_or_faults(self, line: bytes) -> c.Request | list[Fault]:
        """As `request`, with what is wrong given back, each with its place."""
        try:
            return self.request(line)
        except InvalidBody as fault:
            return [
                Fault(code=error.code, message=f"{error.pointer or 'line'}: {error.message}")
                for error in fault.errors
            ]

    def _kept_in(self, account: str, type: str) -> str:
        if type == "open_account":
            return self._currency
        return self._currency_of(account) or self._opened.get(account) or self._currency


def _json(line: bytes) -> object:
    if is_too_deep(line):
        says = f"the line nests deeper than {DEPTH_MAX}"
        raise InvalidBody([FieldError("", "malformed_json", says)])
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        says = f"the line is not JSON in UTF-8: {str(fault)[:80]}"
        raise InvalidBody([FieldError(pointer="", code="malformed_json", message=says)]) from None


def _without_number(account: str, data: object) -> object:
    """An opening's body without its account number, which must be the line's account."""
    if not isinstance(data, Mapping) or data.get("account_number", account) != account:
        says = "account_number must be the line's account, or be left out"
        wrong = FieldError(pointer="/data/account_number", code="account_differs", message=says)
        raise InvalidBody([wrong])
    return {name: value for name, value in data.items() if name != "account_number"}


def _within_data(error: FieldError) -> FieldError:
    return msgspec.structs.replace(error, pointer=f"/data{error.pointer}")
