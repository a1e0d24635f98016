"""What is asked of an account: imperative, validated in form, not yet decided.

Amounts are positive minor units of the account's currency unless a comment says otherwise. An
`effective_on` of None means the region's today. The names of the fields are those of the HTTP
contract with the unit appended, and each command's tag is its name in snake_case.
"""

from datetime import date
from typing import Annotated, Literal

import msgspec

from ledger.calendar import BillingCycle, Terms
from ledger.ids import GIVEN_NUMBER, ID, INVOICE_ID
from ledger.parts import AppliesTo, Method, Outcome, Pay, Settings, SettingsChange, Tax

Id = Annotated[str, msgspec.Meta(pattern=rf"^{ID.pattern}$(?!\n)")]
InvoiceId = Annotated[str, msgspec.Meta(pattern=rf"^{INVOICE_ID.pattern}$(?!\n)")]
"""An invoice or debit item."""
GivenNumber = Annotated[str, msgspec.Meta(pattern=rf"^{GIVEN_NUMBER.pattern}$(?!\n)")]
Text = Annotated[str, msgspec.Meta(max_length=500)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
CompanyName = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Minor = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
MinorOrZero = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Decimal12 = Annotated[
    str, msgspec.Meta(max_length=29, pattern=r"^(0|[1-9][0-9]{0,15})(\.[0-9]{1,12})?$(?!\n)")
]
Taxes = Annotated[tuple[Tax, ...], msgspec.Meta(max_length=16)]


def snake_case(name: str) -> str:
    """`PostCharge` as `post_charge`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


class Command(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="type",
    tag=snake_case,
):
    """A request to change one account."""


class OpenAccount(Command, frozen=True, kw_only=True):
    client_id: Id | None = None
    company: CompanyName
    country: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$(?!\n)")]
    billing_cycle: BillingCycle = "month_end"
    terms: Terms
    settings: Settings = Settings()
    opened_on: date | None = None


class ChangeSettings(Command, frozen=True, kw_only=True):
    changes: SettingsChange
    effective_on: date | None = None


class PostCharge(Command, frozen=True, kw_only=True):
    charge_id: Id
    amount_minor: MinorOrZero
    taxes: Taxes = ()
    description: Text
    category: Name
    effective_on: date | None = None
    quantity: Decimal12 | None = None
    unit_price: Decimal12 | None = None


class ReverseCharge(Command, frozen=True, kw_only=True):
    charge_id: Id
    reason: Text = ""
    effective_on: date | None = None


class IssueCredit(Command, frozen=True, kw_only=True):
    credit_id: Id
    amount_minor: Minor
    applies_to: AppliesTo
    invoice: InvoiceId | None = None
    reason: Text
    taxes: Taxes = ()
    effective_on: date | None = None


class ReverseCredit(Command, frozen=True, kw_only=True):
    credit_id: Id
    reason: Text = ""
    effective_on: date | None = None


class SubmitPayment(Command, frozen=True, kw_only=True):
    """`amount_minor` is given exactly when pay is "amount"; `invoice` then is optional."""

    payment_id: Id
    pay: Pay
    amount_minor: Minor | None = None
    invoice: InvoiceId | None = None
    method: Method
    reference: Text | None = None
    effective_on: date | None = None
    status: Literal["pending", "processed"] = "pending"


class ProcessPayment(Command, frozen=True, kw_only=True):
    """`amount_minor` None: all that was submitted was received."""

    payment_id: Id
    amount_minor: Minor | None = None
    effective_on: date | None = None
    reference: Text | None = None


class FailPayment(Command, frozen=True, kw_only=True):
    payment_id: Id
    reason: Text
    effective_on: date | None = None


class ReturnPayment(Command, frozen=True, kw_only=True):
    """`amount_minor` None: all that was processed and is not returned yet."""

    payment_id: Id
    amount_minor: Minor | None = None
    reason: Text
    effective_on: date | None = None


class ReinstatePayment(Command, frozen=True, kw_only=True):
    payment_id: Id
    effective_on: date | None = None


class UnprocessPayment(Command, frozen=True, kw_only=True):
    payment_id: Id
    effective_on: date | None = None


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """An amount meant for an invoice."""

    invoice: InvoiceId
    amount_minor: Minor


class ReallocatePayment(Command, frozen=True, kw_only=True):
    """The payment's money goes to these invoices; what is left follows the rule for unnamed."""

    payment_id: Id
    targets: Annotated[tuple[Target, ...], msgspec.Meta(max_length=500)] = ()
    effective_on: date | None = None


class IssueRefund(Command, frozen=True, kw_only=True):
    refund_id: Id
    amount_minor: Minor
    payment_id: Id | None = None
    method: Method
    reason: Text
    effective_on: date | None = None


class ReverseRefund(Command, frozen=True, kw_only=True):
    refund_id: Id
    reason: Text = ""
    effective_on: date | None = None


class WriteOffInvoice(Command, frozen=True, kw_only=True):
    """`amount_minor` None: the whole open amount."""

    write_off_id: Id
    invoice: InvoiceId
    amount_minor: Minor | None = None
    reason: Text
    effective_on: date | None = None


class ReverseWriteOff(Command, frozen=True, kw_only=True):
    write_off_id: Id
    reason: Text = ""
    effective_on: date | None = None


class OpenDispute(Command, frozen=True, kw_only=True):
    """`amount_minor` None: the whole open amount; more than is open flags what is open."""

    dispute_id: Id
    invoice: InvoiceId
    amount_minor: Minor | None = None
    reason: Text
    effective_on: date | None = None


class ResolveDispute(Command, frozen=True, kw_only=True):
    """`amount_minor`: of an upheld dispute, how much (tax included) is credited; None: all of it."""

    dispute_id: Id
    outcome: Outcome
    amount_minor: Minor | None = None
    effective_on: date | None = None


class IssueInvoice(Command, frozen=True, kw_only=True):
    """`issued_on` None: the region's today; `period_end` None: the day of issue; `number` None:
    the next one."""

    period_end: date | None = None
    number: GivenNumber | None = None
    issued_on: date | None = None
    due_on: date | None = None


class CancelInvoice(Command, frozen=True, kw_only=True):
    number: InvoiceId
    reason: Text = ""
    effective_on: date | None = None


class PostMessage(Command, frozen=True, kw_only=True):
    message_id: Id
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=10_000)]
    effective_on: date | None = None


class CloseAccount(Command, frozen=True, kw_only=True):
    """`final_bill`: what is unbilled is invoiced first."""

    reason: Text = ""
    final_bill: bool = False
    effective_on: date | None = None


AnyCommand = (
    OpenAccount
    | ChangeSettings
    | PostCharge
    | ReverseCharge
    | IssueCredit
    | ReverseCredit
    | SubmitPayment
    | ProcessPayment
    | FailPayment
    | ReturnPayment
    | ReinstatePayment
    | UnprocessPayment
    | ReallocatePayment
    | IssueRefund
    | ReverseRefund
    | WriteOffInvoice
    | ReverseWriteOff
    | OpenDispute
    | ResolveDispute
    | IssueInvoice
    | CancelInvoice
    | PostMessage
    | CloseAccount
)


class Request(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A command for one account, with what the edge knows: key, principal and the region's today.

    `key` is unique per account for ever. `today` is the region's business day. `if_settings`, when
    given, are versions of which the account's settings must be one, `if_version` the one that the
    account must be at, `currency` the one that bare amounts were read in, which must be the account's:
    none of them part of what is asked, so a retry answers as before whatever they are by then.
    """

    account_number: str
    key: str
    command: AnyCommand
    actor: str
    today: date
    dry_run: bool = False
    if_settings: frozenset[int] | None = None
    if_version: int | None = None
    currency: str | None = None
