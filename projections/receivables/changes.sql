-- Writing what a batch changes: arrays of columns in the order of the fields of the rows.
-- A change must find its row older than its first event, so that nothing is applied twice and nothing
-- goes back; it shows in the count. Changes of amounts are added.

-- name: change_account
-- Accounts with further events, which follow their last one.
UPDATE account AS held
SET
    version = c.version,
    position = c.position,
    recorded_at = c.recorded_at,
    closed_on = COALESCE(c.closed_on, held.closed_on),
    closed_position = COALESCE(c.closed_position, held.closed_position),
    open_minor = held.open_minor + c.open_minor,
    unapplied_minor = held.unapplied_minor + c.unapplied_minor,
    unbilled_minor = held.unbilled_minor + c.unbilled_minor,
    pending_minor = held.pending_minor + c.pending_minor,
    messages = held.messages + c.messages
FROM unnest(
    %b::int[], %b::uuid[], %b::bigint[], %b::bigint[], %b::bigint[], %b::timestamptz[],
    %b::date[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[]
) AS c (
    lane, account_id, first_version, version, position, recorded_at, closed_on, closed_position,
    open_minor, unapplied_minor, unbilled_minor, pending_minor, messages
)
WHERE held.lane = c.lane AND held.account_id = c.account_id
  AND held.version = c.first_version - 1;

-- name: change_invoice
-- What is open, flagged, written off of invoices; cancellations.
UPDATE invoice AS held
SET
    version = c.version,
    moved_on = greatest(held.moved_on, c.moved_on),
    moved_position = greatest(held.moved_position, c.moved_position),
    open_minor = held.open_minor + c.open_minor,
    flagged_minor = held.flagged_minor + c.flagged_minor,
    written_off_minor = held.written_off_minor + c.written_off_minor,
    carried_left_minor = held.carried_left_minor + c.carried_left_minor,
    cancelled_on = COALESCE(c.cancelled_on, held.cancelled_on),
    cancelled_position = COALESCE(c.cancelled_position, held.cancelled_position),
    cancelled_reason = COALESCE(c.cancelled_reason, held.cancelled_reason)
FROM unnest(
    %b::int[], %b::uuid[], %b::text[], %b::bigint[], %b::bigint[], %b::date[], %b::bigint[],
    %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::date[], %b::bigint[], %b::text[]
) AS c (
    lane, account_id, number, first_version, version, moved_on, moved_position, open_minor,
    flagged_minor, written_off_minor, carried_left_minor, cancelled_on, cancelled_position,
    cancelled_reason
)
WHERE held.lane = c.lane AND held.account_id = c.account_id AND held.number = c.number
  AND held.version < c.first_version;

-- name: change_charge
-- Charges reversed.
UPDATE charge AS held
SET
    version = c.version,
    reversed_on = COALESCE(c.reversed_on, held.reversed_on),
    reversed_position = COALESCE(c.reversed_position, held.reversed_position),
    reason = COALESCE(c.reason, held.reason)
FROM unnest(
    %b::int[], %b::uuid[], %b::text[], %b::bigint[], %b::bigint[], %b::date[], %b::bigint[],
    %b::text[]
) AS c (
    lane, account_id, charge_id, first_version, version, reversed_on, reversed_position, reason
)
WHERE held.lane = c.lane AND held.account_id = c.account_id AND held.charge_id = c.charge_id
  AND held.version < c.first_version;

-- name: change_payment
-- Payments processed, failed, returned, refunded, put on invoices.
UPDATE payment AS held
SET
    version = c.version,
    stage = COALESCE(c.stage, held.stage),
    processed_on = CASE WHEN c.stage IS NULL THEN held.processed_on ELSE c.processed_on END,
    processed_seq = CASE WHEN c.stage IS NULL THEN held.processed_seq ELSE c.processed_seq END,
    processed_minor = held.processed_minor + c.processed_minor,
    returned_minor = held.returned_minor + c.returned_minor,
    refunded_minor = held.refunded_minor + c.refunded_minor,
    unapplied_minor = held.unapplied_minor + c.unapplied_minor,
    reference = COALESCE(c.reference, held.reference),
    reason = COALESCE(c.reason, held.reason)
FROM unnest(
    %b::int[], %b::uuid[], %b::text[], %b::bigint[], %b::bigint[], %b::text[], %b::date[],
    %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::text[], %b::text[]
) AS c (
    lane, account_id, payment_id, first_version, version, stage, processed_on, processed_seq,
    processed_minor, returned_minor, refunded_minor, unapplied_minor, reference, reason
)
WHERE held.lane = c.lane AND held.account_id = c.account_id AND held.payment_id = c.payment_id
  AND held.version < c.first_version;

-- name: change_credit
-- Credits put on invoices, refunded, reversed.
UPDATE credit AS held
SET
    version = c.version,
    refunded_minor = held.refunded_minor + c.refunded_minor,
    unapplied_minor = held.unapplied_minor + c.unapplied_minor,
    reversed_on = COALESCE(c.reversed_on, held.reversed_on),
    reversed_position = COALESCE(c.reversed_position, held.reversed_position),
    reversed_reason = COALESCE(c.reversed_reason, held.reversed_reason)
FROM unnest(
    %b::int[], %b::uuid[], %b::text[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[],
    %b::date[], %b::bigint[], %b::text[]
) AS c (
    lane, account_id, credit_id, first_version, version, refunded_minor, unapplied_minor,
    reversed_on, reversed_position, reversed_reason
)
WHERE held.lane = c.lane AND held.account_id = c.account_id AND held.credit_id = c.credit_id
  AND held.version < c.first_version;

-- name: change_refund
-- Refunds reversed.
UPDATE refund AS held
SET
    version = c.version,
    reversed_on = COALESCE(c.reversed_on, held.reversed_on),
    reversed_position = COALESCE(c.reversed_position, held.reversed_position),
    reversed_reason = COALESCE(c.reversed_reason, held.reversed_reason)
FROM unnest(
    %b::int[], %b::uuid[], %b::text[], %b::bigint[], %b::bigint[], %b::date[], %b::bigint[],
    %b::text[]
) AS c (
    lane, account_id, refund_id, first_version, version, reversed_on, reversed_position,
    reversed_reason
)
WHERE held.lane = c.lane AND held.account_id = c.account_id AND held.refund_id = c.refund_id
  AND held.version < c.first_version;

-- name: change_write_off
-- Write-offs reversed.
UPDATE write_off AS held
SET
    version = c.version,
    reversed_on = COALESCE(c.reversed_on, held.reversed_on),
    reversed_position = COALESCE(c.reversed_position, held.reversed_position),
    reversed_minor = COALESCE(c.reversed_minor, held.reversed_minor),
    reversed_reason = COALESCE(c.reversed_reason, held.reversed_reason)
FROM unnest(
    %b::int[], %b::uuid[], %b::text[], %b::bigint[], %b::bigint[], %b::date[], %b::bigint[],
    %b::bigint[], %b::text[]
) AS c (
    lane, account_id, write_off_id, first_version, version, reversed_on, reversed_position,
    reversed_minor, reversed_reason
)
WHERE held.lane = c.lane AND held.account_id = c.account_id AND held.write_off_id = c.write_off_id
  AND held.version < c.first_version;

-- name: change_dispute
-- Disputes resolved.
UPDATE dispute AS held
SET
    version = c.version,
    outcome = COALESCE(c.outcome, held.outcome),
    credit_id = COALESCE(c.credit_id, held.credit_id),
    resolved_on = COALESCE(c.resolved_on, held.resolved_on),
    resolved_position = COALESCE(c.resolved_position, held.resolved_position)
FROM unnest(
    %b::int[], %b::uuid[], %b::text[], %b::bigint[], %b::bigint[], %b::text[], %b::text[],
    %b::date[], %b::bigint[]
) AS c (
    lane, account_id, dispute_id, first_version, version, outcome, credit_id, resolved_on,
    resolved_position
)
WHERE held.lane = c.lane AND held.account_id = c.account_id AND held.dispute_id = c.dispute_id
  AND held.version < c.first_version;

-- name: add_daily
-- Sums of movements by the day they count from and the day they were recorded on.
INSERT INTO daily AS held (
    lane, account_id, effective_on, recorded_day, version, open_minor, unapplied_minor,
    unbilled_minor, pending_minor, flagged_minor
)
SELECT given.lane, given.account_id, given.effective_on, given.recorded_day, given.version,
       given.open_minor, given.unapplied_minor, given.unbilled_minor, given.pending_minor,
       given.flagged_minor
FROM unnest(
    %b::int[], %b::uuid[], %b::date[], %b::date[], %b::bigint[], %b::bigint[], %b::bigint[],
    %b::bigint[], %b::bigint[], %b::bigint[]
) AS given (
    lane, account_id, effective_on, recorded_day, version, open_minor, unapplied_minor,
    unbilled_minor, pending_minor, flagged_minor
)
ON CONFLICT (lane, account_id, effective_on, recorded_day) DO UPDATE
SET
    version = EXCLUDED.version,
    open_minor = held.open_minor + EXCLUDED.open_minor,
    unapplied_minor = held.unapplied_minor + EXCLUDED.unapplied_minor,
    unbilled_minor = held.unbilled_minor + EXCLUDED.unbilled_minor,
    pending_minor = held.pending_minor + EXCLUDED.pending_minor,
    flagged_minor = held.flagged_minor + EXCLUDED.flagged_minor
WHERE held.version < EXCLUDED.version;
