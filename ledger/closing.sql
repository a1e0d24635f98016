-- Closing a month, run as billing_writer: a run is 64 rows, one a lane, which runners share.

-- name: insert
-- The rows of a run that was never asked for before, at the lanes' heads as they are.
INSERT INTO ledger.month_end (
    lane, period, issued_on, asked_on, actor, asked_at, from_position, after_account, issued,
    replayed, nothing_to_bill, not_due, refused, refusals, moved_at, finished_at
)
SELECT h.lane, %(period)s, %(issued_on)s::date, %(asked_on)s::date, %(actor)s, now(), h.position,
       NULL, 0, 0, 0, 0, 0, '[]', now(), NULL
FROM ledger.lane_head AS h
ORDER BY h.lane
ON CONFLICT (lane, period) DO NOTHING;

-- name: lock
-- The run's rows, locked in order of lane: whoever works on one finishes its batch first.
SELECT m.issued_on, m.asked_on, m.finished_at IS NULL
FROM ledger.month_end AS m
WHERE m.period = %(period)s
ORDER BY m.lane
FOR UPDATE;

-- name: restart
-- A run begins anew, at the lanes' heads as they are.
UPDATE ledger.month_end AS m
SET issued_on = %(issued_on)s, asked_on = %(asked_on)s, actor = %(actor)s, asked_at = now(),
    from_position = h.position, after_account = NULL, issued = 0, replayed = 0,
    nothing_to_bill = 0, not_due = 0, refused = 0, refusals = '[]', moved_at = now(),
    finished_at = NULL
FROM ledger.lane_head AS h
WHERE m.period = %(period)s AND h.lane = m.lane;

-- name: in_the_way
-- A run that must be over before a month with that day of issue can be asked for: an earlier month's,
-- or the month's own with another day.
SELECT m.period, m.issued_on
FROM ledger.month_end AS m
WHERE m.finished_at IS NULL AND (
    m.period < %(period)s
    OR (m.period = %(period)s AND m.issued_on IS DISTINCT FROM %(issued_on)s::date)
)
ORDER BY m.period, m.lane
LIMIT 1;

-- name: counted
-- How many accounts there are.
SELECT count(*) FROM ledger.account;

-- name: unfinished
-- The periods of runs that are not finished.
SELECT DISTINCT m.period
FROM ledger.month_end AS m
WHERE m.finished_at IS NULL
ORDER BY m.period;

-- name: runs
-- Runs as a whole, the latest month's first: of one period, or those before one; and what has become of
-- the month's books, which are closed with those of the first month from it on that were cut off.
WITH cut AS (
    SELECT c.period, bool_and(c.proved_at IS NOT NULL) AS is_closed
    FROM ledger.period_close AS c
    GROUP BY c.period
)
SELECT m.period,
       COALESCE((
           SELECT CASE WHEN cut.is_closed THEN 'closed' ELSE 'cut_off' END
           FROM cut
           WHERE cut.period >= m.period
           ORDER BY cut.period
           LIMIT 1
       ), 'open'),
       min(m.issued_on), min(m.asked_on), min(m.actor), min(m.asked_at), max(m.moved_at),
       CASE WHEN bool_and(m.finished_at IS NOT NULL) THEN max(m.finished_at) END,
       sum(m.issued)::bigint, sum(m.replayed)::bigint, sum(m.nothing_to_bill)::bigint,
       sum(m.not_due)::bigint, sum(m.refused)::bigint
FROM ledger.month_end AS m
WHERE m.period = COALESCE(%(period)s::text, m.period)
  AND (%(before)s::text IS NULL OR m.period < %(before)s)
GROUP BY m.period
ORDER BY m.period DESC
LIMIT %(limit)s;

-- name: refusals
-- The refusals that runs kept, lane by lane in the order they were met.
SELECT m.period, kept.refusal
FROM ledger.month_end AS m
CROSS JOIN LATERAL jsonb_array_elements(m.refusals) WITH ORDINALITY AS kept (refusal, n)
WHERE m.period = ANY (%(periods)s::text[])
ORDER BY m.lane, kept.n;

-- name: claim
-- Lanes that nobody works on, locked. The periods of each are done in order: the invoice of a later
-- month would take the lines of an earlier one.
SELECT m.lane, m.period, m.issued_on, m.asked_on, m.actor, m.from_position, m.after_account,
       jsonb_array_length(m.refusals)
FROM ledger.month_end AS m
WHERE m.finished_at IS NULL AND NOT EXISTS (
    SELECT
    FROM ledger.month_end AS earlier
    WHERE earlier.lane = m.lane AND earlier.period < m.period AND earlier.finished_at IS NULL
)
ORDER BY m.lane, m.period
LIMIT %(lanes)s
FOR UPDATE SKIP LOCKED;

-- name: accounts
-- The next accounts of lanes, by the lanes' places in the arrays; of those that used the key, the first
-- event it recorded; and the items that most of the others need to be billed: the first invoice of the
-- month, which is seldom there, and the unbilled lines of the month and of the one before.
SELECT asked.n, a.account_id, a.account_number, a.state, a.hash, done.position, done.topic,
       invoice.state, month.state, earlier.state
FROM unnest(%(lanes)s::int[], %(after)s::uuid[], %(keys)s::text[], %(numbers)s::text[],
            %(months)s::text[], %(earlier)s::text[])
     WITH ORDINALITY AS asked (lane, after, key, number, month, earlier, n)
CROSS JOIN LATERAL (
    SELECT r.account_id, r.account_number, r.state, r.hash
    FROM ledger.account AS r
    WHERE r.lane = asked.lane AND r.account_id > asked.after
    ORDER BY r.account_id
    LIMIT %(limit)s
) AS a
LEFT JOIN LATERAL (
    SELECT e.position, e.topic
    FROM ledger.command_key AS k
    JOIN ledger.event AS e
        ON e.lane = k.lane AND e.account_id = k.account_id AND e.version = k.first_version
    WHERE k.lane = asked.lane AND k.account_id = a.account_id AND k.key = asked.key
    OFFSET 0
) AS done ON true
LEFT JOIN ledger.item AS invoice
    ON invoice.lane = asked.lane AND invoice.account_id = a.account_id
    AND invoice.kind = 'invoice' AND invoice.id = a.account_number || asked.number
LEFT JOIN ledger.item AS month
    ON month.lane = asked.lane AND month.account_id = a.account_id
    AND month.kind = 'unbilled' AND month.id = asked.month
LEFT JOIN ledger.item AS earlier
    ON earlier.lane = asked.lane AND earlier.account_id = a.account_id
    AND earlier.kind = 'unbilled' AND earlier.id = asked.earlier
ORDER BY asked.n, a.account_id;

-- name: move
-- A lane's accounts are done up to one of them.
UPDATE ledger.month_end AS m
SET after_account = COALESCE(%(after)s::uuid, m.after_account), issued = m.issued + %(issued)s,
    replayed = m.replayed + %(replayed)s,
    nothing_to_bill = m.nothing_to_bill + %(nothing_to_bill)s,
    not_due = m.not_due + %(not_due)s, refused = m.refused + %(refused)s,
    refusals = m.refusals || %(refusals)s::jsonb, moved_at = clock_timestamp(),
    finished_at = CASE WHEN %(is_last)s THEN clock_timestamp() END
WHERE m.lane = %(lane)s AND m.period = %(period)s;
