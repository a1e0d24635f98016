-- What is read of the receivables views outside the batched read, within a scope.

-- name: scope
-- The accounts that may be read until the transaction ends.
SELECT set_config('billing.scope', %(scope)s, true);

-- name: live
-- An account as it stands on a day.
SELECT s.* FROM receivables.summary_row(%(lane)s, %(account_id)s, %(day)s) AS s;

-- name: as_of
-- An account effective on a day, as known at a position.
SELECT s.*
FROM receivables.summary_as_of(%(lane)s, %(account_id)s, %(day)s, %(position)s) AS s;

-- name: open_items
-- What is open on a day, as known at a position (null: live), by due date, then order of issue.
SELECT i.number, i.due_on, i.seq, i.open_minor, i.disputed_minor
FROM receivables.open_items(%(lane)s, %(account_id)s, %(day)s, %(position)s) AS i
ORDER BY i.due_on, i.seq;

-- name: reached
-- The position up to which what is read of an account is complete.
SELECT least(t.position, p.position - 1)
FROM receivables.tracking AS t
LEFT JOIN receivables.parked AS p ON p.lane = t.lane AND p.account_id = %(account_id)s
WHERE t.lane = %(lane)s;

-- name: known_position
-- The last position of a lane recorded by an instant, which no append can join any more.
SELECT ledger.known_position(%(lane)s, %(known_at)s);
