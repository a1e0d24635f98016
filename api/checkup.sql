-- What is asked of a region's database to tell whether all is well, run as billing_reader.

-- name: lag
-- Events the views have not taken yet, and for how many seconds the last of them has waited.
SELECT
    COALESCE(sum(h.position - t.position), 0)::bigint,
    COALESCE(EXTRACT(epoch FROM clock_timestamp() - min(h.recorded_at)), 0)::float8
FROM ledger.lane_head AS h
JOIN receivables.tracking AS t ON t.lane = h.lane
WHERE h.position > t.position;

-- name: scope_all
-- The transaction sees every account.
SELECT set_config('billing.scope', '*', true);

-- name: parked
-- How many accounts the views could not fold.
SELECT count(*) FROM receivables.parked;

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
