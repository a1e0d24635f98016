-- What accounts show, read past the ledger's own code.

-- name: stored
-- Every account's balance and current activity in cents as the write side keeps them.
SELECT account_number,
       COALESCE((kept ->> 'open_minor')::bigint, 0)
           - COALESCE((kept ->> 'unapplied_minor')::bigint, 0),
       COALESCE((kept ->> 'unbilled_minor')::bigint, 0)
FROM (
    SELECT a.account_number, convert_from(a.state, 'UTF8')::jsonb AS kept
    FROM ledger.account AS a
) AS accounts
ORDER BY account_number;

-- name: viewed
-- Every account's balance and current activity in cents as the views show them.
SELECT account_number, open_minor - unapplied_minor, unbilled_minor
FROM receivables.account
ORDER BY account_number;

-- name: events
-- How many events the log holds.
SELECT COALESCE(sum(position), 0)::bigint FROM ledger.lane_head;
