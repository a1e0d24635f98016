"""What each command on an account may be refused with, beside what any of them may."""

from collections.abc import Mapping

OF_ANY = ("account_unknown", "amount_overflow", "idempotency_key_reused")

_DATED = ("effective_before_cause", "effective_in_future")
_MAKES = ("id_taken", *_DATED)
_OF_ITEM = ("item_unknown", *_DATED)
_MOVES = ("too_many_items", *_OF_ITEM)

OF: Mapping[str, tuple[str, ...]] = {
    "open_account": ("account_exists", "effective_in_future", "unknown_currency"),
    "change_settings": ("nothing_to_change", "too_many_ahead", "effective_before_cause"),
    "post_charge": ("account_closed", "too_many_ahead", "id_taken", "effective_before_cause"),
    "reverse_charge": ("already_reversed", "charge_already_billed", *_OF_ITEM),
    "issue_credit": (
        *("account_closed", "credit_exceeds_invoice", "invoice_cancelled", "invoice_needed"),
        *("tax_exceeds_invoice", "id_taken", *_MOVES),
    ),
    "reverse_credit": (
        *("already_reversed", "credit_already_billed", "credit_already_refunded", *_MOVES),
    ),
    "submit_payment": (
        *("amount_needed", "invoice_cancelled", "invoice_needed", "nothing_to_pay"),
        *("id_taken", *_MOVES),
    ),
    "process_payment": ("payment_not_pending", "processed_exceeds_submitted", *_MOVES),
    "fail_payment": ("payment_not_pending", *_OF_ITEM),
    "return_payment": (
        *("payment_not_processed", "return_exceeds_processed", "id_taken", *_MOVES),
    ),
    "reinstate_payment": ("payment_not_processed", "payment_not_returned", *_MOVES),
    "unprocess_payment": ("payment_not_processed", "payment_refunded", *_MOVES),
    "reallocate_payment": (
        *("allocation_exceeds_payment", "invoice_not_open", "payment_not_processed", *_MOVES),
    ),
    "issue_refund": ("payment_not_processed", "refund_exceeds_paid", "id_taken", *_MOVES),
    "reverse_refund": ("already_reversed", *_MOVES),
    "write_off_invoice": ("invoice_not_open", "id_taken", *_MOVES),
    "reverse_write_off": ("already_reversed", "write_off_recovered", *_MOVES),
    "open_dispute": ("nothing_to_dispute", "id_taken", *_OF_ITEM),
    "resolve_dispute": (
        *("amount_not_applicable", "credit_exceeds_invoice", "dispute_exceeded"),
        *("dispute_not_open", "id_taken", "invoice_cancelled", "tax_exceeds_invoice", *_MOVES),
    ),
    "issue_invoice": (
        *("due_before_issue", "nothing_to_bill", "number_reserved", "period_billed"),
        *("id_taken", "too_many_items", *_DATED),
    ),
    "cancel_invoice": (
        *("credit_already_refunded", "invoice_cancelled", "invoice_settled", *_MOVES),
    ),
    "post_message": _MAKES,
    "close_account": (
        *("account_closed", "account_not_settled", "id_taken", "too_many_items"),
        *("nothing_to_bill", "period_billed", *_DATED),
    ),
}
"""By the command's name; a test holds it against what happens."""
