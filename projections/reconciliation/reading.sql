-- What a lane holds, all of it seen at one moment: read by billing_auditor, in order of account.

-- name: positions
-- When this is, by the database's clock; how far the log and both read models are in a lane, null where
-- no row tells; and whether the head tells the instant of its last event (null: that is missing). The
-- tables are those of the moment: had a rebuild put others in their place, the rows of this moment
-- would not be in them.
SELECT transaction_timestamp(), h.position, r.position, j.position,
       h.position = 0 OR h.recorded_at = e.recorded_at
FROM (VALUES (%(lane)s::int)) AS asked (lane)
LEFT JOIN ledger.lane_head AS h ON h.lane = asked.lane
LEFT JOIN ledger.event AS e ON e.lane = h.lane AND e.position = h.position
LEFT JOIN receivables.tracking AS r ON r.lane = asked.lane
LEFT JOIN journal.tracking AS j ON j.lane = asked.lane;

-- name: replaced
-- Whether the read models' tables are others by now than at the moment that is seen.
SELECT count(*) <> 2
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relname = 'tracking' AND n.nspname IN ('receivables', 'journal')
  AND c.oid = to_regclass(n.nspname || '.tracking');

-- name: events
-- The events, each account's in order.
SELECT uuid_send(e.account_id), e.position, e.version, e.topic, e.state, e.recorded_at, e.hash,
       e.leaf
FROM ledger.event AS e
WHERE e.lane = %(lane)s
ORDER BY e.account_id, e.version;

-- name: gap
-- The first position that no event has though the log is past it (null: none), and how many have
-- none. Events are counted, not positions: a head that was altered may say any.
SELECT CASE WHEN count(*) < %(head)s THEN
           COALESCE(min(e.n) FILTER (WHERE e.position <> e.n), count(*) + 1)
       END,
       %(head)s - count(*)
FROM (
    SELECT e.position, row_number() OVER (ORDER BY e.position) AS n
    FROM ledger.event AS e
    WHERE e.lane = %(lane)s AND e.position BETWEEN 1 AND %(head)s::bigint
) AS e;

-- name: written
-- The write side's rows of accounts.
SELECT uuid_send(a.account_id), a.account_number, a.version, a.state, a.hash
FROM ledger.account AS a
WHERE a.lane = %(lane)s
ORDER BY a.account_id;

-- name: written_items
-- The write side's items, each account's in order of the version that changed them last.
SELECT uuid_send(i.account_id), i.version, i.kind, i.id, i.seq, i.state, i.due_on, i.open_minor,
       i.undisputed_minor, i.written_off_minor, i.unapplied_minor, i.allocated_minor,
       i.amount_minor, i.source, i.invoice
FROM ledger.item AS i
WHERE i.lane = %(lane)s
ORDER BY i.account_id, i.version;

-- name: written_item
-- The state of an item whose row says that it was changed last before a version of its account.
SELECT i.state
FROM ledger.item AS i
WHERE i.lane = %(lane)s AND i.account_id = %(account_id)s AND i.kind = %(kind)s AND i.id = %(id)s
  AND i.version < %(version)s;

-- name: receivables_parked
-- Accounts that stopped in receivables, at which position and why.
SELECT uuid_send(p.account_id), p.position, p.error
FROM receivables.parked AS p
WHERE p.lane = %(lane)s
ORDER BY p.account_id;

-- name: journal_parked
-- Accounts that stopped in the journal, at which position and why.
SELECT uuid_send(p.account_id), p.position, p.error
FROM journal.parked AS p
WHERE p.lane = %(lane)s
ORDER BY p.account_id;

-- name: accounts
-- The accounts of receivables, their totals, and when they came and went.
SELECT uuid_send(a.account_id), a.account_number, a.currency, a.version, a.position,
       a.open_minor, a.unapplied_minor, a.unbilled_minor, a.pending_minor,
       a.opened_on, a.first_position, a.closed_on, a.closed_position, a.recorded_at, a.messages
FROM receivables.account AS a
WHERE a.lane = %(lane)s
ORDER BY a.account_id;

-- name: movements
-- Every movement, in order.
SELECT uuid_send(m.account_id), m.position, m.n, m.version, m.recorded_at, m.effective_on,
       m.figure, m.item, m.amount_minor
FROM receivables.movement AS m
WHERE m.lane = %(lane)s
ORDER BY m.account_id, m.position, m.n;

-- name: things
-- Every charge, invoice, payment, credit, refund, write-off and dispute as it was made, with its parts
-- and the rest that is told of it; then by which event it ended, when and how; and, of invoices and
-- payments, what last became of them. In the order they were made.
SELECT uuid_send(c.account_id), c.position, 'charge', c.charge_id, c.seq, c.recorded_at,
       c.effective_on, NULL::date, c.amount_minor, c.total_minor, c.category, c.description, c.taxes,
       concat(c.late, ' ', c.ahead, ' ', c.quantity, ' ', c.unit_price),
       c.reversed_position, c.reversed_on, NULL::text, NULL::bigint, NULL::date, NULL::text
FROM receivables.charge AS c
WHERE c.lane = %(lane)s
UNION ALL
SELECT uuid_send(v.account_id), v.position, 'invoice', v.number, v.seq, v.recorded_at,
       v.issued_on, v.due_on, v.charges_minor - v.credits_minor + v.tax_minor, v.total_minor,
       v.kind, concat_ws(' ', v.period_start, v.period_end, v.lines_count),
       v.categories || v.taxes, NULL::text,
       v.cancelled_position, v.cancelled_on, NULL::text, v.moved_position, v.moved_on, NULL::text
FROM receivables.invoice AS v
WHERE v.lane = %(lane)s
UNION ALL
SELECT uuid_send(p.account_id), p.position, 'payment', p.payment_id, p.seq, p.recorded_at,
       p.submitted_on, NULL::date, p.amount_minor, p.amount_minor, p.method, p.invoice,
       NULL::jsonb, p.pay,
       NULL::bigint, NULL::date, NULL::text, p.processed_seq, p.processed_on, p.stage
FROM receivables.payment AS p
WHERE p.lane = %(lane)s
UNION ALL
SELECT uuid_send(c.account_id), c.position, 'credit', c.credit_id, c.seq, c.recorded_at,
       c.effective_on, NULL::date, c.amount_minor, c.total_minor, c.applies_to, c.invoice, c.taxes,
       c.dispute_id,
       c.reversed_position, c.reversed_on, NULL::text, NULL::bigint, NULL::date, NULL::text
FROM receivables.credit AS c
WHERE c.lane = %(lane)s
UNION ALL
SELECT uuid_send(r.account_id), r.position, 'refund', r.refund_id, r.seq, r.recorded_at,
       r.effective_on, NULL::date, r.amount_minor, r.amount_minor, r.method, r.payment_id, r.drawn,
       NULL::text,
       r.reversed_position, r.reversed_on, NULL::text, NULL::bigint, NULL::date, NULL::text
FROM receivables.refund AS r
WHERE r.lane = %(lane)s
UNION ALL
SELECT uuid_send(w.account_id), w.position, 'write_off', w.write_off_id, w.seq, w.recorded_at,
       w.effective_on, NULL::date, w.amount_minor, w.amount_minor, NULL::text, w.invoice,
       NULL::jsonb, NULL::text,
       w.reversed_position, w.reversed_on, w.reversed_minor::text, NULL::bigint, NULL::date,
       NULL::text
FROM receivables.write_off AS w
WHERE w.lane = %(lane)s
UNION ALL
SELECT uuid_send(d.account_id), d.position, 'dispute', d.dispute_id, d.seq, d.recorded_at,
       d.effective_on, NULL::date, d.amount_minor, d.amount_minor, NULL::text, d.invoice,
       NULL::jsonb, NULL::text,
       d.resolved_position, d.resolved_on, d.outcome || concat(' ' || d.credit_id),
       NULL::bigint, NULL::date, NULL::text
FROM receivables.dispute AS d
WHERE d.lane = %(lane)s
ORDER BY 1, 2, 3, 4;

-- name: steps
-- Every allocation made or undone, step of a payment, and range of lines of an invoice (of none: at
-- position 0), in the order they were made.
SELECT uuid_send(a.account_id), a.position, 'allocation', a.n, a.invoice, a.version, a.recorded_at,
       a.effective_on, NULL::date, a.amount_minor, a.recovered_minor, a.source,
       a.made_version || '.' || a.made_n
FROM receivables.allocation AS a
WHERE a.lane = %(lane)s
UNION ALL
SELECT uuid_send(s.account_id), s.position, 'payment_step', 0, s.payment_id, s.version,
       s.recorded_at, s.effective_on, NULL::date, s.amount_minor, s.received_minor, s.step,
       NULL::text
FROM receivables.payment_step AS s
WHERE s.lane = %(lane)s
UNION ALL
SELECT uuid_send(r.account_id), COALESCE(v.position, 0), 'invoice_range', r.n, r.number, v.seq,
       v.recorded_at, r.first_on, r.last_on, r.first_version, r.last_version, NULL::text, NULL::text
FROM receivables.invoice_range AS r
LEFT JOIN receivables.invoice AS v
    ON v.lane = r.lane AND v.account_id = r.account_id AND v.number = r.number
WHERE r.lane = %(lane)s
ORDER BY 1, 2, 3, 4;

-- name: days
-- Sums of movements by day.
SELECT uuid_send(d.account_id), d.effective_on, d.recorded_day, d.open_minor, d.unapplied_minor,
       d.unbilled_minor, d.pending_minor, d.flagged_minor, d.version
FROM receivables.daily AS d
WHERE d.lane = %(lane)s
ORDER BY d.account_id, d.effective_on, d.recorded_day;

-- name: items
-- What receivables holds of single things, by figure: whatever is not zero.
SELECT uuid_send(v.account_id), side.figure, v.number, side.amount_minor
FROM receivables.invoice AS v
CROSS JOIN LATERAL (
    VALUES ('open', v.open_minor), ('flagged', v.flagged_minor),
           ('written_off', v.written_off_minor), ('charges', v.charges_minor),
           ('credits', v.credits_minor), ('tax', v.tax_minor), ('carried', v.carried_minor)
) AS side (figure, amount_minor)
WHERE v.lane = %(lane)s AND side.amount_minor <> 0
UNION ALL
SELECT uuid_send(v.account_id), 'unapplied', 'carried:' || v.number, v.carried_left_minor
FROM receivables.invoice AS v
WHERE v.lane = %(lane)s AND v.carried_left_minor <> 0
UNION ALL
SELECT uuid_send(p.account_id), side.figure, side.item, side.amount_minor
FROM receivables.payment AS p
CROSS JOIN LATERAL (
    VALUES ('unapplied', 'payment:' || p.payment_id, p.unapplied_minor),
           ('refunded', 'payment:' || p.payment_id, p.refunded_minor),
           ('processed', p.payment_id, p.processed_minor),
           ('returned', p.payment_id, p.returned_minor),
           ('pending', p.payment_id, CASE p.stage WHEN 'pending' THEN p.amount_minor ELSE 0 END)
) AS side (figure, item, amount_minor)
WHERE p.lane = %(lane)s AND side.amount_minor <> 0
UNION ALL
SELECT uuid_send(c.account_id), side.figure, 'credit:' || c.credit_id, side.amount_minor
FROM receivables.credit AS c
CROSS JOIN LATERAL (
    VALUES ('unapplied', c.unapplied_minor), ('refunded', c.refunded_minor)
) AS side (figure, amount_minor)
WHERE c.lane = %(lane)s AND side.amount_minor <> 0
ORDER BY 1, 2, 3;

-- name: journal_accounts
-- The accounts that the journal knows, and the position of their first event.
SELECT uuid_send(a.account_id), a.account_number, a.currency, a.position
FROM journal.account AS a
WHERE a.lane = %(lane)s
ORDER BY a.account_id;

-- name: entries
-- Every entry of the journal, each account's in order.
SELECT uuid_send(v.account_id), v.position, v.n, v.recorded_at, v.effective_on, v.period,
       v.currency, v.amount_minor, v.kind, v.debit, v.credit, v.document, v.invoice
FROM journal.entry AS v
WHERE v.lane = %(lane)s
ORDER BY v.account_id, v.position, v.n;

-- name: sums
-- Sums of entries by day.
SELECT d.currency, d.account, d.kind, d.effective_on, d.period, d.recorded_day, d.entries,
       d.debit_minor, d.credit_minor
FROM journal.daily AS d
WHERE d.lane = %(lane)s
ORDER BY d.currency, d.account, d.kind, d.effective_on, d.period, d.recorded_day;

-- name: sums_by_month
-- Sums of entries by month.
SELECT m.currency, m.account, m.effective_month, m.period, m.recorded_month, m.entries,
       m.debit_minor, m.credit_minor
FROM journal.monthly AS m
WHERE m.lane = %(lane)s
ORDER BY m.currency, m.account, m.effective_month, m.period, m.recorded_month;

-- name: receivables_lane_days
-- The first position of each day in receivables.
SELECT d.recorded_day, d.first_position
FROM receivables.lane_day AS d
WHERE d.lane = %(lane)s
ORDER BY d.recorded_day;

-- name: journal_lane_days
-- The first position of each day in the journal.
SELECT d.recorded_day, d.first_position
FROM journal.lane_day AS d
WHERE d.lane = %(lane)s
ORDER BY d.recorded_day;

-- name: begin
-- A transaction that sees one moment, and changes nothing.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;

-- name: export
-- What others name the moment by that this transaction sees.
SELECT pg_export_snapshot();

-- name: cuts
-- The months that the lane has been cut off at: the month's first day, and the position.
SELECT c.lane, to_date(c.period, 'YYYY-MM'), c.position
FROM ledger.period_close AS c
WHERE c.lane = %(lane)s
ORDER BY c.position, c.period;
