-- Writing what a batch makes: arrays of columns in the order of the fields of the rows.

-- name: make_account
-- Accounts that were opened.
INSERT INTO account (
    lane, account_id, account_number, client_id, company, country, currency, opened_on,
    first_position, version, position, recorded_at, closed_on, closed_position, open_minor,
    unapplied_minor, unbilled_minor, pending_minor, messages
)
SELECT given.lane, given.account_id, given.account_number, given.client_id, given.company,
       given.country, given.currency, given.opened_on, given.first_position, given.version,
       given.position, given.recorded_at, given.closed_on, given.closed_position,
       given.open_minor, given.unapplied_minor, given.unbilled_minor, given.pending_minor,
       given.messages
FROM unnest(
    %b::int[], %b::uuid[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::date[],
    %b::bigint[], %b::bigint[], %b::bigint[], %b::timestamptz[], %b::date[], %b::bigint[],
    %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[]
) AS given (
    lane, account_id, account_number, client_id, company, country, currency, opened_on,
    first_position, version, position, recorded_at, closed_on, closed_position, open_minor,
    unapplied_minor, unbilled_minor, pending_minor, messages
);

-- name: make_setting
-- Settings from a day on.
INSERT INTO setting (
    lane, account_id, version, position, recorded_at, effective_on, invoice_delivery,
    delivery_channel, payment_method, language, billing_cycle, terms
)
SELECT given.lane, given.account_id, given.version, given.position, given.recorded_at,
       given.effective_on, given.invoice_delivery, given.delivery_channel, given.payment_method,
       given.language, given.billing_cycle, given.terms
FROM unnest(
    %b::int[], %b::uuid[], %b::bigint[], %b::bigint[], %b::timestamptz[], %b::date[], %b::text[],
    %b::text[], %b::text[], %b::text[], %b::jsonb[], %b::jsonb[]
) AS given (
    lane, account_id, version, position, recorded_at, effective_on, invoice_delivery,
    delivery_channel, payment_method, language, billing_cycle, terms
);

-- name: make_invoice
-- Invoices issued, and debit items.
INSERT INTO invoice (
    lane, account_id, number, kind, seq, position, recorded_at, version, period_start, period_end,
    issued_on, due_on, lines_count, charges_minor, credits_minor, tax_minor, carried_minor,
    total_minor, categories, taxes, moved_on, moved_position, open_minor, flagged_minor,
    written_off_minor, carried_left_minor, cancelled_on, cancelled_position, cancelled_reason
)
SELECT given.lane, given.account_id, given.number, given.kind, given.seq, given.position,
       given.recorded_at, given.version, given.period_start, given.period_end, given.issued_on,
       given.due_on, given.lines_count, given.charges_minor, given.credits_minor, given.tax_minor,
       given.carried_minor, given.total_minor, given.categories, given.taxes, given.moved_on,
       given.moved_position, given.open_minor, given.flagged_minor, given.written_off_minor,
       given.carried_left_minor, given.cancelled_on, given.cancelled_position,
       given.cancelled_reason
FROM unnest(
    %b::int[], %b::uuid[], %b::text[], %b::text[], %b::bigint[], %b::bigint[], %b::timestamptz[],
    %b::bigint[], %b::date[], %b::date[], %b::date[], %b::date[], %b::bigint[], %b::bigint[],
    %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::jsonb[], %b::jsonb[], %b::date[],
    %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::date[],
    %b::bigint[], %b::text[]
) AS given (
    lane, account_id, number, kind, seq, position, recorded_at, version, period_start, period_end,
    issued_on, due_on, lines_count, charges_minor, credits_minor, tax_minor, carried_minor,
    total_minor, categories, taxes, moved_on, moved_position, open_minor, flagged_minor,
    written_off_minor, carried_left_minor, cancelled_on, cancelled_position, cancelled_reason
);

-- name: make_invoice_range
-- The lines that invoices took.
INSERT INTO invoice_range (
    lane, account_id, number, n, first_on, last_on, first_version, last_version
)
SELECT given.lane, given.account_id, given.number, given.n, given.first_on, given.last_on,
       given.first_version, given.last_version
FROM unnest(
    %b::int[], %b::uuid[], %b::text[], %b::int[], %b::date[], %b::date[], %b::bigint[],
    %b::bigint[]
) AS given (
    lane, account_id, number, n, first_on, last_on, first_version, last_version
);

-- name: make_charge
-- Charges posted.
INSERT INTO charge (
    lane, account_id, charge_id, seq, position, recorded_at, version, effective_on, amount_minor,
    taxes, total_minor, category, description, quantity, unit_price, late, ahead
)
SELECT given.lane, given.account_id, given.charge_id, given.seq, given.position,
       given.recorded_at, given.version, given.effective_on, given.amount_minor, given.taxes,
       given.total_minor, given.category, given.description, given.quantity, given.unit_price,
       given.late, given.ahead
FROM unnest(
    %b::int[], %b::uuid[], %b::text[], %b::bigint[], %b::bigint[], %b::timestamptz[],
    %b::bigint[], %b::date[], %b::bigint[], %b::jsonb[], %b::bigint[], %b::text[], %b::text[],
    %b::text[], %b::text[], %b::boolean[], %b::boolean[]
) AS given (
    lane, account_id, charge_id, seq, position, recorded_at, version, effective_on, amount_minor,
    taxes, total_minor, category, description, quantity, unit_price, late, ahead
);

-- name: make_payment
-- Payments submitted.
INSERT INTO payment (
    lane, account_id, payment_id, seq, position, recorded_at, version, pay, invoice, method,
    amount_minor, submitted_on, stage, processed_on, processed_seq, processed_minor,
    returned_minor, refunded_minor, unapplied_minor, reference, reason
)
SELECT given.lane, given.account_id, given.payment_id, given.seq, given.position,
       given.recorded_at, given.version, given.pay, given.invoice, given.method,
       given.amount_minor, given.submitted_on, given.stage, given.processed_on,
       given.processed_seq, given.processed_minor, given.returned_minor, given.refunded_minor,
       given.unapplied_minor, given.reference, given.reason
FROM unnest(
    %b::int[], %b::uuid[], %b::text[], %b::bigint[], %b::bigint[], %b::timestamptz[],
    %b::bigint[], %b::text[], %b::text[], %b::text[], %b::bigint[], %b::date[], %b::text[],
    %b::date[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::text[],
    %b::text[]
) AS given (
    lane, account_id, payment_id, seq, position, recorded_at, version, pay, invoice, method,
    amount_minor, submitted_on, stage, processed_on, processed_seq, processed_minor,
    returned_minor, refunded_minor, unapplied_minor, reference, reason
);

-- name: make_payment_step
-- What became of payments.
INSERT INTO payment_step (
    lane, account_id, version, position, recorded_at, payment_id, step, effective_on,
    amount_minor, received_minor, reference, reason
)
SELECT given.lane, given.account_id, given.version, given.position, given.recorded_at,
       given.payment_id, given.step, given.effective_on, given.amount_minor, given.received_minor,
       given.reference, given.reason
FROM unnest(
    %b::int[], %b::uuid[], %b::bigint[], %b::bigint[], %b::timestamptz[], %b::text[], %b::text[],
    %b::date[], %b::bigint[], %b::bigint[], %b::text[], %b::text[]
) AS given (
    lane, account_id, version, position, recorded_at, payment_id, step, effective_on,
    amount_minor, received_minor, reference, reason
);

-- name: make_credit
-- Credits issued.
INSERT INTO credit (
    lane, account_id, credit_id, seq, position, recorded_at, version, effective_on, amount_minor,
    taxes, total_minor, applies_to, invoice, dispute_id, reason, refunded_minor, unapplied_minor,
    reversed_on, reversed_position, reversed_reason
)
SELECT given.lane, given.account_id, given.credit_id, given.seq, given.position,
       given.recorded_at, given.version, given.effective_on, given.amount_minor, given.taxes,
       given.total_minor, given.applies_to, given.invoice, given.dispute_id, given.reason,
       given.refunded_minor, given.unapplied_minor, given.reversed_on, given.reversed_position,
       given.reversed_reason
FROM unnest(
    %b::int[], %b::uuid[], %b::text[], %b::bigint[], %b::bigint[], %b::timestamptz[],
    %b::bigint[], %b::date[], %b::bigint[], %b::jsonb[], %b::bigint[], %b::text[], %b::text[],
    %b::text[], %b::text[], %b::bigint[], %b::bigint[], %b::date[], %b::bigint[], %b::text[]
) AS given (
    lane, account_id, credit_id, seq, position, recorded_at, version, effective_on, amount_minor,
    taxes, total_minor, applies_to, invoice, dispute_id, reason, refunded_minor, unapplied_minor,
    reversed_on, reversed_position, reversed_reason
);

-- name: make_allocation
-- Allocations made, and (negative) undone.
INSERT INTO allocation (
    lane, account_id, version, n, position, recorded_at, effective_on, source, invoice,
    amount_minor, recovered_minor, made_version, made_n
)
SELECT given.lane, given.account_id, given.version, given.n, given.position, given.recorded_at,
       given.effective_on, given.source, given.invoice, given.amount_minor, given.recovered_minor,
       given.made_version, given.made_n
FROM unnest(
    %b::int[], %b::uuid[], %b::bigint[], %b::int[], %b::bigint[], %b::timestamptz[], %b::date[],
    %b::text[], %b::text[], %b::bigint[], %b::bigint[], %b::bigint[], %b::int[]
) AS given (
    lane, account_id, version, n, position, recorded_at, effective_on, source, invoice,
    amount_minor, recovered_minor, made_version, made_n
);

-- name: make_refund
-- Refunds issued.
INSERT INTO refund (
    lane, account_id, refund_id, seq, position, recorded_at, version, effective_on, amount_minor,
    payment_id, method, reason, drawn, reversed_on, reversed_position, reversed_reason
)
SELECT given.lane, given.account_id, given.refund_id, given.seq, given.position,
       given.recorded_at, given.version, given.effective_on, given.amount_minor, given.payment_id,
       given.method, given.reason, given.drawn, given.reversed_on, given.reversed_position,
       given.reversed_reason
FROM unnest(
    %b::int[], %b::uuid[], %b::text[], %b::bigint[], %b::bigint[], %b::timestamptz[],
    %b::bigint[], %b::date[], %b::bigint[], %b::text[], %b::text[], %b::text[], %b::jsonb[],
    %b::date[], %b::bigint[], %b::text[]
) AS given (
    lane, account_id, refund_id, seq, position, recorded_at, version, effective_on, amount_minor,
    payment_id, method, reason, drawn, reversed_on, reversed_position, reversed_reason
);

-- name: make_write_off
-- Invoices written off.
INSERT INTO write_off (
    lane, account_id, write_off_id, seq, position, recorded_at, version, effective_on, invoice,
    amount_minor, reason, reversed_on, reversed_position, reversed_minor, reversed_reason
)
SELECT given.lane, given.account_id, given.write_off_id, given.seq, given.position,
       given.recorded_at, given.version, given.effective_on, given.invoice, given.amount_minor,
       given.reason, given.reversed_on, given.reversed_position, given.reversed_minor,
       given.reversed_reason
FROM unnest(
    %b::int[], %b::uuid[], %b::text[], %b::bigint[], %b::bigint[], %b::timestamptz[],
    %b::bigint[], %b::date[], %b::text[], %b::bigint[], %b::text[], %b::date[], %b::bigint[],
    %b::bigint[], %b::text[]
) AS given (
    lane, account_id, write_off_id, seq, position, recorded_at, version, effective_on, invoice,
    amount_minor, reason, reversed_on, reversed_position, reversed_minor, reversed_reason
);

-- name: make_dispute
-- Disputes opened.
INSERT INTO dispute (
    lane, account_id, dispute_id, seq, position, recorded_at, version, effective_on, invoice,
    amount_minor, reason, outcome, credit_id, resolved_on, resolved_position
)
SELECT given.lane, given.account_id, given.dispute_id, given.seq, given.position,
       given.recorded_at, given.version, given.effective_on, given.invoice, given.amount_minor,
       given.reason, given.outcome, given.credit_id, given.resolved_on, given.resolved_position
FROM unnest(
    %b::int[], %b::uuid[], %b::text[], %b::bigint[], %b::bigint[], %b::timestamptz[],
    %b::bigint[], %b::date[], %b::text[], %b::bigint[], %b::text[], %b::text[], %b::text[],
    %b::date[], %b::bigint[]
) AS given (
    lane, account_id, dispute_id, seq, position, recorded_at, version, effective_on, invoice,
    amount_minor, reason, outcome, credit_id, resolved_on, resolved_position
);

-- name: make_message
-- Messages posted.
INSERT INTO message (
    lane, account_id, message_id, seq, position, recorded_at, effective_on, digest
)
SELECT given.lane, given.account_id, given.message_id, given.seq, given.position,
       given.recorded_at, given.effective_on, given.digest
FROM unnest(
    %b::int[], %b::uuid[], %b::text[], %b::bigint[], %b::bigint[], %b::timestamptz[], %b::date[],
    %b::text[]
) AS given (
    lane, account_id, message_id, seq, position, recorded_at, effective_on, digest
);

-- name: make_movement
-- Movements of all figures.
INSERT INTO movement (
    lane, account_id, position, n, version, recorded_at, effective_on, figure, item, amount_minor
)
SELECT given.lane, given.account_id, given.position, given.n, given.version, given.recorded_at,
       given.effective_on, given.figure, given.item, given.amount_minor
FROM unnest(
    %b::int[], %b::uuid[], %b::bigint[], %b::int[], %b::bigint[], %b::timestamptz[], %b::date[],
    %b::text[], %b::text[], %b::bigint[]
) AS given (
    lane, account_id, position, n, version, recorded_at, effective_on, figure, item, amount_minor
);
