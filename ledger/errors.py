"""The catalogue of refusals: what a caller asked for that cannot be done, each with its facts.

A refusal records nothing. `code` is stable and part of the HTTP contract; `says` is the sentence
for a person. Amounts in facts are minor units; `ledger.money.state_amounts` gives the sentence
their currency.
"""
# long: one catalogue, so that a code can be looked up and no two refusals share one

from dataclasses import dataclass
from datetime import date
from typing import ClassVar


class Refusal(Exception):
    """A command that the rules do not allow; its one argument, if any, is the finished sentence."""

    code: ClassVar[str]
    says: ClassVar[str]

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else self.says.format(**self.__dict__)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.__dict__ == other.__dict__

    __hash__ = Exception.__hash__


@dataclass(eq=False, kw_only=True)
class InvalidAmount(Refusal):
    code = "invalid_amount"
    says = "{amount!r} is not an amount of {currency}: give digits with at most its decimals"
    amount: str
    currency: str


@dataclass(eq=False, kw_only=True)
class AmountOverflow(Refusal):
    code = "amount_overflow"
    says = (
        "{amount_minor} is beyond the 64 bits that an amount has, and the sum of all that an "
        "account ever moves: split it, or use another account"
    )
    amount_minor: str


@dataclass(eq=False, kw_only=True)
class UnknownCurrency(Refusal):
    code = "unknown_currency"
    says = "{currency!r} is not an ISO 4217 currency"
    currency: str


@dataclass(eq=False, kw_only=True)
class CurrencyMismatch(Refusal):
    code = "currency_mismatch"
    says = "the account is kept in {expected}, not {currency}"
    expected: str
    currency: str


@dataclass(eq=False, kw_only=True)
class EffectiveInFuture(Refusal):
    code = "effective_in_future"
    says = "{effective_on} is after {today}, the region's today"
    effective_on: date
    today: date


@dataclass(eq=False, kw_only=True)
class EffectiveBeforeCause(Refusal):
    code = "effective_before_cause"
    says = "{effective_on} is before {cause_on}, when {cause} took effect"
    effective_on: date
    cause: str
    cause_on: date


@dataclass(eq=False, kw_only=True)
class TooManyAhead(Refusal):
    code = "too_many_ahead"
    says = "the account has {what} on {limit} days ahead already: wait until some have come"
    what: str
    limit: int


@dataclass(eq=False, kw_only=True)
class TooManyItems(Refusal):
    code = "too_many_items"
    says = "this would touch more than {limit} {what}: split it, or name what it is for"
    what: str
    limit: int


@dataclass(eq=False, kw_only=True)
class AccountExists(Refusal):
    code = "account_exists"
    says = "account {account_number} exists already"
    account_number: str


@dataclass(eq=False, kw_only=True)
class AccountUnknown(Refusal):
    code = "account_unknown"
    says = "there is no account {account_number}"
    account_number: str


@dataclass(eq=False, kw_only=True)
class AccountClosed(Refusal):
    code = "account_closed"
    says = "account {account_number} was closed on {closed_on}"
    account_number: str
    closed_on: date


@dataclass(eq=False, kw_only=True)
class AccountNotSettled(Refusal):
    code = "account_not_settled"
    says = (
        "account {account_number} has pending payments of {pending_minor} and "
        "{unbilled_lines} unbilled lines: finish or bill them first"
    )
    account_number: str
    pending_minor: int
    unbilled_lines: int


@dataclass(eq=False, kw_only=True)
class NothingToChange(Refusal):
    code = "nothing_to_change"
    says = "the request changes nothing"


@dataclass(eq=False, kw_only=True)
class IdTaken(Refusal):
    code = "id_taken"
    says = "the account has {kind} {id!r} already: use another id, or the same key to retry"
    kind: str
    id: str


@dataclass(eq=False, kw_only=True)
class ItemUnknown(Refusal):
    code = "item_unknown"
    says = "the account has no {kind} {id!r}"
    kind: str
    id: str


@dataclass(eq=False, kw_only=True)
class AlreadyReversed(Refusal):
    code = "already_reversed"
    says = "{kind} {id!r} was reversed before"
    kind: str
    id: str


@dataclass(eq=False, kw_only=True)
class ChargeAlreadyBilled(Refusal):
    code = "charge_already_billed"
    says = "charge {charge_id!r} is on an invoice: credit that invoice instead"
    charge_id: str


@dataclass(eq=False, kw_only=True)
class CreditAlreadyBilled(Refusal):
    code = "credit_already_billed"
    says = "credit {credit_id!r} is a line of an invoice: post a charge instead"
    credit_id: str


@dataclass(eq=False, kw_only=True)
class CreditAlreadyRefunded(Refusal):
    code = "credit_already_refunded"
    says = "{refunded_minor} of {source} were refunded: reverse the refund first"
    source: str
    refunded_minor: int


@dataclass(eq=False, kw_only=True)
class CreditExceedsInvoice(Refusal):
    code = "credit_exceeds_invoice"
    says = "invoice {invoice} can be credited {left_minor} more, not {amount_minor}"
    invoice: str
    left_minor: int
    amount_minor: int


@dataclass(eq=False, kw_only=True)
class TaxExceedsInvoice(Refusal):
    code = "tax_exceeds_invoice"
    says = "invoice {invoice} has {left_minor} of tax {name!r} left to credit, not {amount_minor}"
    invoice: str
    name: str
    left_minor: int
    amount_minor: int


@dataclass(eq=False, kw_only=True)
class InvoiceNeeded(Refusal):
    code = "invoice_needed"
    says = "an invoice must be named exactly when the {what} is for one"
    what: str


@dataclass(eq=False, kw_only=True)
class AmountNeeded(Refusal):
    code = "amount_needed"
    says = 'an amount must be stated exactly when pay is "amount"'


@dataclass(eq=False, kw_only=True)
class AmountNotApplicable(Refusal):
    code = "amount_not_applicable"
    says = "a rejected dispute has no amount: leave it out"


@dataclass(eq=False, kw_only=True)
class NothingToPay(Refusal):
    code = "nothing_to_pay"
    says = "nothing is due on {what}: state an amount to pay ahead"
    what: str


@dataclass(eq=False, kw_only=True)
class NothingToBill(Refusal):
    code = "nothing_to_bill"
    says = "nothing is unbilled up to {period_end}"
    period_end: date


@dataclass(eq=False, kw_only=True)
class PeriodBilled(Refusal):
    code = "period_billed"
    says = "the account is billed through {billed_through}: give that day or a later period end"
    billed_through: date


@dataclass(eq=False, kw_only=True)
class NumberReserved(Refusal):
    code = "number_reserved"
    says = "number {number!r} has the form of numbers generated for another period, or debit items"
    number: str


@dataclass(eq=False, kw_only=True)
class DueBeforeIssue(Refusal):
    code = "due_before_issue"
    says = "the due date {due_on} is before the day of issue {issued_on}"
    due_on: date
    issued_on: date


@dataclass(eq=False, kw_only=True)
class InvoiceNotOpen(Refusal):
    code = "invoice_not_open"
    says = "invoice {invoice} has {open_minor} open, so {amount_minor} cannot be taken off it"
    invoice: str
    open_minor: int
    amount_minor: int


@dataclass(eq=False, kw_only=True)
class InvoiceSettled(Refusal):
    code = "invoice_settled"
    says = (
        "invoice {invoice} has payments, credit notes, write-offs or disputes to undo first, "
        "or is a debit item, which only its payment's reinstatement undoes"
    )
    invoice: str


@dataclass(eq=False, kw_only=True)
class InvoiceIsCancelled(Refusal):
    code = "invoice_cancelled"
    says = "invoice {invoice} was cancelled"
    invoice: str


@dataclass(eq=False, kw_only=True)
class PaymentNotPending(Refusal):
    code = "payment_not_pending"
    says = "payment {payment_id!r} is {status}, not pending"
    payment_id: str
    status: str


@dataclass(eq=False, kw_only=True)
class PaymentNotProcessed(Refusal):
    code = "payment_not_processed"
    says = "payment {payment_id!r} is {status}: only processed money can be moved"
    payment_id: str
    status: str


@dataclass(eq=False, kw_only=True)
class ProcessedExceedsSubmitted(Refusal):
    code = "processed_exceeds_submitted"
    says = "payment {payment_id!r} is for {submitted_minor}, less than {amount_minor}"
    payment_id: str
    submitted_minor: int
    amount_minor: int


@dataclass(eq=False, kw_only=True)
class ReturnExceedsProcessed(Refusal):
    code = "return_exceeds_processed"
    says = "payment {payment_id!r} has {left_minor} that can be returned, not {amount_minor}"
    payment_id: str
    left_minor: int
    amount_minor: int


@dataclass(eq=False, kw_only=True)
class PaymentNotReturned(Refusal):
    code = "payment_not_returned"
    says = "nothing of payment {payment_id!r} is returned"
    payment_id: str


@dataclass(eq=False, kw_only=True)
class PaymentRefunded(Refusal):
    code = "payment_refunded"
    says = "payment {payment_id!r} was returned or refunded: it cannot be pending again"
    payment_id: str


@dataclass(eq=False, kw_only=True)
class AllocationExceedsPayment(Refusal):
    code = "allocation_exceeds_payment"
    says = "payment {payment_id!r} has {left_minor} to allocate, not {amount_minor}"
    payment_id: str
    left_minor: int
    amount_minor: int


@dataclass(eq=False, kw_only=True)
class RefundExceedsPaid(Refusal):
    code = "refund_exceeds_paid"
    says = "{left_minor} can be refunded, not {amount_minor}"
    left_minor: int
    amount_minor: int


@dataclass(eq=False, kw_only=True)
class WriteOffRecovered(Refusal):
    code = "write_off_recovered"
    says = "write-off {write_off_id!r} has been recovered by later payments"
    write_off_id: str


@dataclass(eq=False, kw_only=True)
class NothingToDispute(Refusal):
    code = "nothing_to_dispute"
    says = "invoice {invoice} has no open amount that is not disputed already"
    invoice: str


@dataclass(eq=False, kw_only=True)
class DisputeNotOpen(Refusal):
    code = "dispute_not_open"
    says = "dispute {dispute_id!r} was resolved before"
    dispute_id: str


@dataclass(eq=False, kw_only=True)
class DisputeExceeded(Refusal):
    code = "dispute_exceeded"
    says = "{flagged_minor} are disputed by {dispute_id!r}, not {amount_minor}"
    dispute_id: str
    flagged_minor: int
    amount_minor: int


@dataclass(eq=False, kw_only=True)
class IdempotencyKeyReused(Refusal):
    code = "idempotency_key_reused"
    says = "key {key!r} was used for another command of this account"
    key: str


@dataclass(eq=False, kw_only=True)
class VersionMismatch(Refusal):
    code = "version_mismatch"
    says = "the settings are of version {settings_version}, which was not named: read them again"
    settings_version: int


@dataclass(eq=False, kw_only=True)
class AccountChanged(Refusal):
    code = "account_changed"
    says = "account {account_number} is at version {version}, no longer at {expected}: look again"
    account_number: str
    version: int
    expected: int


@dataclass(eq=False, kw_only=True)
class KnownAtInFuture(Refusal):
    code = "known_at_in_future"
    says = "{known_at} is after the ledger's clock, {now}"
    known_at: str
    now: str


@dataclass(eq=False, kw_only=True)
class ViewBehind(Refusal):
    code = "view_behind"
    says = "the views have not reached position {position} yet: ask again"
    position: str


@dataclass(eq=False, kw_only=True)
class PositionUnknown(Refusal):
    code = "position_unknown"
    says = "{position!r} is not a position of this account's lane"
    position: str


@dataclass(eq=False, kw_only=True)
class InvalidPeriod(Refusal):
    code = "invalid_period"
    says = "{period!r} is not a month: give its year, 1900 to 2199, and number, like 2020-07"
    period: str


@dataclass(eq=False, kw_only=True)
class PeriodNotBegun(Refusal):
    code = "period_not_begun"
    says = "{period} has not begun on {today}, the region's today: there is nothing to close yet"
    period: str
    today: date


@dataclass(eq=False, kw_only=True)
class PeriodNotOver(Refusal):
    code = "period_not_over"
    says = "{period} is not over on {today}, the region's today: its books stay open until it is"
    period: str
    today: date


@dataclass(eq=False, kw_only=True)
class MonthNotBilled(Refusal):
    code = "month_not_billed"
    says = "the books of {period} stay open: {why}"
    period: str
    why: str


@dataclass(eq=False, kw_only=True)
class PeriodClosedBefore(Refusal):
    code = "period_closed"
    says = (
        "the books of {period} were closed with those of {closed}: what is late is in a later month"
    )
    period: str
    closed: str


@dataclass(eq=False, kw_only=True)
class MonthEndRunning(Refusal):
    code = "month_end_running"
    says = "{period} is being closed with invoices issued on {issued_on}: ask when that is done"
    period: str
    issued_on: str


@dataclass(eq=False, kw_only=True)
class NoDunningPolicy(Refusal):
    code = "no_dunning_policy"
    says = (
        "region {region} has no dunning policy: say in the regions file what is charged, and when"
    )
    region: str
