-- The statements by which a request comes in, run as billing_reader within its transaction.

-- name: enter
-- Who asks, and whether they may, on an account or in the region.
SELECT e.verdict, e.role, e.principal_id, e.currency
FROM access.enter(
    %(roles)b::text[], %(scope)s::text, %(token_sha256)b::bytea, %(lane)b::int, %(account_id)b::uuid
) AS e;

-- name: enter_many
-- The same for many, by place; nothing is set. Parameters come packed (api/prepared.py).
SELECT e.n, e.verdict, e.role, e.principal_id, e.currency
FROM access.enter_many(
    $1, $2, $3, $4, $5
) AS e;

-- name: currencies
-- The currencies of accounts that exist, by place.
SELECT c.n, c.currency FROM access.currencies(%(lanes)b::int[], %(account_ids)b::uuid[]) AS c;

-- name: has_reached
-- Whether a lane's log has reached a position.
SELECT h.position >= %(position)b::bigint FROM ledger.lane_head AS h WHERE h.lane = %(lane)b;

-- name: enter_reading
-- As enter, with the moment of the views that is read; and whether a rebuild has put other tables in
-- their place since this transaction began to see, which then shows few of their rows. A catalogue
-- read like a table is as old as what the transaction sees, a name is looked up as of now. The
-- function has read the tracked positions, so from here on no rebuild swaps until the transaction ends.
SELECT e.verdict, e.role, e.principal_id, e.currency, e.as_of_position, e."position", e.known_at,
       e.reached, e.version, e.settings_version,
       NOT EXISTS (
           SELECT FROM pg_namespace AS n
           WHERE n.nspname = 'receivables' AND n.oid = to_regnamespace('receivables')
             AND e.verdict IS NOT NULL  -- looked up when the function is done
       )
FROM access.enter_reading(
    %(roles)b::text[], %(scope)s::text, %(token_sha256)b::bytea, %(lane)b::int,
    %(account_id)b::uuid, %(effective_on)b::date, %(known_at)b::timestamptz, %(at)b::bigint,
    %(wait_lane)b::int
) AS e;
