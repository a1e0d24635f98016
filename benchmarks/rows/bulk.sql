-- COPY of what bulk commands wrote, out of one database and into its twin.

-- name: now
-- The database's clock.
SELECT clock_timestamp();

-- name: out_event
-- The events recorded since an instant.
COPY (SELECT * FROM ledger.event WHERE recorded_at >= {since}) TO STDOUT (FORMAT binary);

-- name: out_command_key
-- The keys with a prefix.
COPY (SELECT * FROM ledger.command_key WHERE key LIKE {prefix}) TO STDOUT (FORMAT binary);

-- name: out_item
-- The charges whose ids have a prefix, and the running items beside them.
COPY (SELECT * FROM ledger.item WHERE id LIKE {prefix} OR kind <> 'charge')
TO STDOUT (FORMAT binary);

-- name: out_account
-- Every account's row.
COPY (SELECT * FROM ledger.account) TO STDOUT (FORMAT binary);

-- name: into_event
-- Events as they are.
COPY ledger.event FROM STDIN (FORMAT binary);

-- name: into_command_key
-- Keys as they are.
COPY ledger.command_key FROM STDIN (FORMAT binary);

-- name: into_item
-- Items as they are.
COPY ledger.item FROM STDIN (FORMAT binary);

-- name: into_account
-- Account rows as they are.
COPY ledger.account FROM STDIN (FORMAT binary);

-- name: empty_account
-- Makes room for the account rows as they are after a part.
TRUNCATE ledger.account;

-- name: empty_running
-- Makes room for the running items as they are after a part.
DELETE FROM ledger.item WHERE kind <> 'charge';

-- name: counts
-- Events, keys, items and accounts.
SELECT (SELECT count(*) FROM ledger.event), (SELECT count(*) FROM ledger.command_key),
       (SELECT count(*) FROM ledger.item), (SELECT count(*) FROM ledger.account);
