-- What reconciliations found: kept as billing_writer, read as billing_reader.

-- name: found
-- What the last one found of a lane; whoever else keeps something of it waits.
SELECT r.found::text
FROM ledger.reconciliation AS r
WHERE r.lane = %(lane)s
FOR UPDATE;

-- name: keep
-- A lane was reconciled.
INSERT INTO ledger.reconciliation AS r (
    lane, started_at, finished_at, log_position, receivables_position, journal_position, accounts,
    events, differences, found
)
VALUES (
    %(lane)s, %(seen_at)s, clock_timestamp(), %(log_position)s, %(receivables_position)s,
    %(journal_position)s, %(accounts)s, %(events)s, %(differences)s, %(found)s::jsonb
)
ON CONFLICT (lane) DO UPDATE
SET started_at = EXCLUDED.started_at, finished_at = EXCLUDED.finished_at,
    log_position = EXCLUDED.log_position, receivables_position = EXCLUDED.receivables_position,
    journal_position = EXCLUDED.journal_position, accounts = EXCLUDED.accounts,
    events = EXCLUDED.events, differences = EXCLUDED.differences, found = EXCLUDED.found
WHERE r.started_at <= EXCLUDED.started_at;

-- name: due
-- The lanes that were not reconciled for so many seconds, those that waited longest first.
SELECT h.lane
FROM ledger.lane_head AS h
LEFT JOIN ledger.reconciliation AS r ON r.lane = h.lane
WHERE r.lane IS NULL OR r.finished_at <= clock_timestamp() - make_interval(secs => %(every_s)s)
ORDER BY r.finished_at NULLS FIRST, h.lane;

-- name: standing
-- Of all lanes: how many were reconciled, when the one that was longest ago, how many accounts,
-- events and differences; and for how many seconds the longest has waited that has events: since it
-- was reconciled, or since its first event, but not since before there was a reconciliation.
SELECT count(r.lane), min(r.finished_at), COALESCE(sum(r.accounts), 0)::bigint,
       COALESCE(sum(r.events), 0)::bigint, COALESCE(sum(r.differences), 0)::bigint,
       COALESCE(max(EXTRACT(
           epoch FROM clock_timestamp()
               - COALESCE(r.finished_at, greatest(e.recorded_at, m.applied_at))
       )) FILTER (WHERE h.position > 0), 0)::float8
FROM ledger.lane_head AS h
LEFT JOIN ledger.reconciliation AS r ON r.lane = h.lane
LEFT JOIN ledger.event AS e ON e.lane = h.lane AND e.position = 1 AND r.lane IS NULL
LEFT JOIN ledger.migration AS m ON m.name = 'api/0020_reconciliation';

-- name: lanes
-- How far the log was where each lane was last reconciled, and what differed.
SELECT h.lane, COALESCE(r.log_position, 0), COALESCE(r.found, '[]')::text
FROM ledger.lane_head AS h
LEFT JOIN ledger.reconciliation AS r ON r.lane = h.lane
ORDER BY h.lane;
