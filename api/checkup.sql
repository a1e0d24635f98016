-- What is asked of a region's database to tell whether all is well, run as billing_reader.

-- name: lag
-- Events the views have not taken yet, and for how many seconds the last of them has waited.
SELECT
    COALESCE(sum(h.position - t.position), 0)::bigint,
    COALESCE(EXTRACT(epoch FROM clock_timestamp() - min(h.recorded_at)), 0)::float8
FROM ledger.lane_head AS h
JOIN receivables.tracking AS t ON t.lane = h.lane
WHERE h.position > t.position;

-- name: journal_lag
-- The same of the journal.
SELECT
    COALESCE(sum(h.position - t.position), 0)::bigint,
    COALESCE(EXTRACT(epoch FROM clock_timestamp() - min(h.recorded_at)), 0)::float8
FROM ledger.lane_head AS h
JOIN journal.tracking AS t ON t.lane = h.lane
WHERE h.position > t.position;

-- name: scope_all
-- The transaction sees every account.
SELECT set_config('billing.scope', '*', true);

-- name: parked
-- How many accounts the views could not fold.
SELECT (SELECT count(*) FROM receivables.parked) + (SELECT count(*) FROM journal.parked);

-- name: unproved
-- Months whose books were cut off and are not closed, and for how many seconds.
SELECT c.period, EXTRACT(epoch FROM clock_timestamp() - min(c.cut_at))::float8
FROM ledger.period_close AS c
WHERE c.proved_at IS NULL
GROUP BY c.period
ORDER BY c.period;

-- name: month_ends
-- The runs of month ends that are not finished, and for how many seconds each has not moved.
SELECT m.period, EXTRACT(epoch FROM clock_timestamp() - max(m.moved_at))::float8
FROM ledger.month_end AS m
WHERE m.finished_at IS NULL
GROUP BY m.period
ORDER BY m.period;

-- name: outbox
-- How many mails wait, and for how many seconds the oldest of them has.
SELECT w.mails, w.oldest_s FROM access.mails_waiting() AS w;
