-- The months whose books are cut off.

-- name: lock_heads
-- No append is under way, and none begins until the transaction ends.
SELECT h.lane, h.position FROM ledger.lane_head AS h ORDER BY h.lane FOR UPDATE;

-- name: is_cut
-- A row when the month was cut off before.
SELECT c.period FROM ledger.period_close AS c WHERE c.lane = 0 AND c.period = %(period)s;

-- name: covering
-- The first later month that was cut off: with it this one was, if it was not by itself.
SELECT c.period
FROM ledger.period_close AS c
WHERE c.lane = 0 AND c.period > %(period)s
ORDER BY c.period
LIMIT 1;

-- name: before
-- The last month before that was cut off.
SELECT c.period
FROM ledger.period_close AS c
WHERE c.lane = 0 AND c.period < %(period)s
ORDER BY c.period DESC
LIMIT 1;

-- name: run
-- What became of the month end: whether there is one and it is finished, for which day it was asked,
-- and the accounts that it left.
SELECT count(*), bool_and(m.finished_at IS NOT NULL), min(m.asked_on), sum(m.not_due)::bigint,
       sum(m.refused)::bigint
FROM ledger.month_end AS m
WHERE m.period = %(period)s;

-- name: cut
-- Every lane is cut off for the month at its head.
INSERT INTO ledger.period_close (lane, period, position, actor, cut_at)
SELECT h.lane, %(period)s, h.position, %(actor)s, clock_timestamp()
FROM ledger.lane_head AS h
ORDER BY h.lane;

-- name: of_period
-- A month's lanes in order, with the report of it or of an earlier month that was closed with it, and
-- the earlier months that have one; what was found to disagree counts until a lane is proved.
SELECT c.lane, c.position, c.actor, c.cut_at, c.proved_at,
       CASE
           WHEN c.period = %(period)s THEN c.report - 'earlier'
           WHEN c.report IS NOT NULL THEN jsonb_build_object(
               'currencies', COALESCE(c.report -> 'earlier' -> %(period)s::text, '{}')
           )
       END,
       CASE
           WHEN c.period = %(period)s
           THEN ARRAY(SELECT jsonb_object_keys(COALESCE(c.report -> 'earlier', '{}')))
           ELSE '{}'
       END,
       CASE WHEN c.proved_at IS NULL THEN c.disagreements ELSE 0 END,
       CASE WHEN c.proved_at IS NULL THEN c.disagreeing ELSE '[]' END,
       CASE WHEN c.proved_at IS NULL THEN c.disagreed_at END
FROM ledger.period_close AS c
WHERE c.period = %(closed_with)s
ORDER BY c.lane;

-- name: lanes
-- Where a month's lanes were cut off, and whether they are proved.
SELECT c.lane, c.position, c.proved_at IS NOT NULL
FROM ledger.period_close AS c
WHERE c.period = %(period)s
ORDER BY c.lane;

-- name: cuts
-- Every cut.
SELECT c.lane, c.period, c.position
FROM ledger.period_close AS c
ORDER BY c.lane, c.period;

-- name: unproved
-- Months that are cut off with a lane whose part is not proved, in order.
SELECT DISTINCT c.period
FROM ledger.period_close AS c
WHERE c.proved_at IS NULL
ORDER BY c.period;

-- name: prove
-- A lane's part is proved; the first proof stays.
UPDATE ledger.period_close AS c
SET report = %(report)s, proved_at = clock_timestamp()
WHERE c.lane = %(lane)s AND c.period = %(period)s AND c.proved_at IS NULL;

-- name: disagree
-- What of a lane's part disagreed when it was last looked at; once it is proved nothing does.
UPDATE ledger.period_close AS c
SET disagreements = %(disagreements)s, disagreeing = %(disagreeing)s,
    disagreed_at = clock_timestamp()
WHERE c.lane = %(lane)s AND c.period = %(period)s AND c.proved_at IS NULL;
