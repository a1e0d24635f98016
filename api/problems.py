"""Every way a request can fail, as problem details (RFC 9457): one table of codes, one body."""

from collections.abc import Mapping, Sequence

import msgspec

from ledger.errors import Refusal

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:billing-ledger:problem:"


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one part of a request; `pointer` is a JSON pointer, or `/query/<name>`."""

    pointer: str
    code: str
    message: str


class Problem(Exception):
    """A request that is answered with a problem. `code` is one of CODES."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        return CODES[self.code][0]


class ProblemDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of a problem."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    correlation_id: str
    errors: tuple[FieldError, ...] = ()


REFUSALS: Mapping[str, tuple[int, str]] = {
    "account_changed": (409, "The account has changed since"),
    "account_closed": (409, "The account is closed"),
    "account_exists": (409, "The account exists already"),
    "account_not_settled": (409, "The account is not settled"),
    "account_unknown": (404, "There is no such account"),
    "allocation_exceeds_payment": (409, "The payment has less to allocate"),
    "already_reversed": (409, "It was reversed before"),
    "amount_needed": (422, "An amount is needed"),
    "amount_not_applicable": (422, "An amount does not apply"),
    "amount_overflow": (422, "The amount is too large"),
    "charge_already_billed": (409, "The charge is billed"),
    "credit_already_billed": (409, "The credit is billed"),
    "credit_already_refunded": (409, "The credit was refunded"),
    "credit_exceeds_invoice": (409, "The credit exceeds the invoice"),
    "currency_mismatch": (422, "The account has another currency"),
    "dispute_exceeded": (409, "Less is disputed"),
    "dispute_not_open": (409, "The dispute is resolved"),
    "due_before_issue": (422, "Due before it is issued"),
    "effective_before_cause": (409, "Effective before its cause"),
    "effective_in_future": (422, "Effective in the future"),
    "id_taken": (409, "The id is taken"),
    "idempotency_key_reused": (422, "The key was used for something else"),
    "invalid_amount": (422, "The amount is not valid"),
    "invalid_period": (422, "The period is not a month"),
    "invoice_cancelled": (409, "The invoice is cancelled"),
    "invoice_needed": (422, "An invoice is needed"),
    "invoice_not_open": (409, "The invoice has less open"),
    "invoice_settled": (409, "The invoice is settled in part"),
    "item_unknown": (404, "There is no such item"),
    "known_at_in_future": (422, "Known in the future"),
    "month_not_billed": (409, "The month is not billed yet"),
    "month_end_running": (409, "The month is being closed"),
    "no_dunning_policy": (409, "Nothing is to be charged"),
    "nothing_to_bill": (409, "Nothing to bill"),
    "nothing_to_change": (409, "Nothing to change"),
    "nothing_to_dispute": (409, "Nothing to dispute"),
    "nothing_to_pay": (409, "Nothing to pay"),
    "number_reserved": (409, "The number is reserved"),
    "payment_not_pending": (409, "The payment is not pending"),
    "payment_not_processed": (409, "The payment is not processed"),
    "payment_not_returned": (409, "The payment is not returned"),
    "payment_refunded": (409, "The payment was given back in part"),
    "period_billed": (409, "The period is billed"),
    "period_closed": (409, "The period's books are closed"),
    "period_not_begun": (422, "The period has not begun"),
    "period_not_over": (422, "The period is not over"),
    "position_unknown": (422, "There is no such position"),
    "processed_exceeds_submitted": (409, "More than was submitted"),
    "refund_exceeds_paid": (409, "More than can be refunded"),
    "return_exceeds_processed": (409, "More than can be returned"),
    "tax_exceeds_invoice": (409, "The tax exceeds the invoice's"),
    "too_many_ahead": (409, "Too many days ahead"),
    "too_many_items": (409, "Too many items at once"),
    "unknown_currency": (422, "There is no such currency"),
    "version_mismatch": (412, "The settings have changed since"),
    "view_behind": (503, "The views are behind"),
    "write_off_recovered": (409, "The write-off was recovered"),
}
"""Status and title of every code in ledger/errors.py; a test proves it complete."""

CODES: Mapping[str, tuple[int, str]] = {
    **REFUSALS,
    "idempotency_key_missing": (400, "An idempotency key is needed"),
    "malformed_request": (400, "The request cannot be read"),
    "malformed_json": (400, "The body is not JSON"),
    "unauthenticated": (401, "Not signed in"),
    "sign_in_failed": (401, "Sign-in failed"),
    "second_factor_required": (401, "A code is needed too"),
    "second_factor_failed": (401, "The code is wrong"),
    "forbidden": (403, "Not allowed"),
    "password_change_required": (403, "The password must be changed first"),
    "wrong_password": (403, "The password is wrong"),
    "wrong_code": (403, "The code is wrong"),
    "not_found": (404, "There is nothing here"),
    "reset_unknown": (404, "The link is good for nothing"),
    "method_not_allowed": (405, "The method is not allowed"),
    "request_timeout": (408, "The request did not arrive in time"),
    "identifier_taken": (409, "Another login signs in so"),
    "own_login": (409, "It is your own login"),
    "second_factor_exists": (409, "There is a second factor already"),
    "second_factor_missing": (409, "There is no second factor"),
    "payload_too_large": (413, "The body is too large"),
    "uri_too_long": (414, "The address is too long"),
    "unsupported_media_type": (415, "The body is not in a form that is read"),
    "invalid_request": (422, "The request is not valid"),
    "precondition_required": (428, "If-Match is needed"),
    "too_many_requests": (429, "Too many requests"),
    "headers_too_large": (431, "The headers are too large"),
    "internal_error": (500, "Something went wrong here"),
    "overloaded": (503, "Too busy"),
    "database_unavailable": (503, "The database does not answer"),
    "view_damaged": (503, "A view is damaged"),
}
"""Status and title of every problem."""

FRAMEWORK_CODES: Mapping[int, str] = {
    400: "malformed_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
    415: "unsupported_media_type",
    422: "invalid_request",
}
"""The code for a status that the framework itself answers with."""

RETRY_AFTER_S = 1
_encoder = msgspec.json.Encoder()


def problem_of(refusal: Refusal) -> Problem:
    """The problem that a refusal is answered with."""
    retried = refusal.code in REFUSALS and REFUSALS[refusal.code][0] == 503
    return Problem(
        refusal.code, str(refusal), headers={"Retry-After": str(RETRY_AFTER_S)} if retried else None
    )


def problem_of_status(status: int, headers: Mapping[str, str] | None = None) -> Problem:
    """The problem for a status of the framework, which gives no code."""
    code = FRAMEWORK_CODES.get(status, "malformed_request" if status < 500 else "internal_error")
    return Problem(code, CODES[code][1], headers=headers)


def invalid_query(name: str, message: str, code: str = "invalid") -> Problem:
    """The problem of one query parameter."""
    error = FieldError(pointer=f"/query/{name}", code=code, message=message)
    return Problem("invalid_request", f"query parameter {name!r}: {message}", errors=[error])


def details_of(problem: Problem, correlation_id: str) -> ProblemDetails:
    """The problem in the form it is shown in."""
    status, title = CODES[problem.code]
    return ProblemDetails(
        type=TYPE_PREFIX + problem.code,
        title=title,
        status=status,
        detail=problem.detail,
        code=problem.code,
        correlation_id=correlation_id,
        errors=problem.errors,
    )


def invalid_field(pointer: str, message: str, code: str = "invalid") -> Problem:
    """The problem of one field of a body; `pointer` is its JSON pointer."""
    error = FieldError(pointer=pointer, code=code, message=message)
    return Problem("invalid_request", f"{pointer}: {message}", errors=[error])


def body_of(problem: Problem, correlation_id: str) -> bytes:
    """The problem's body."""
    return _encoder.encode(details_of(problem, correlation_id))
