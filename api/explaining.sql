-- What figures of the account that the transaction was let in for are made of, run as billing_reader.
-- `day` and `position` are the moment.

-- name: open_items
-- What is open, by due date, then order of issue.
SELECT i.number, i.due_on, i.seq, i.open_minor, i.disputed_minor
FROM receivables.open_items(%(lane)b, access.account(), %(day)b, %(position)b) AS i
ORDER BY i.due_on, i.seq;

-- name: sums
-- What is unapplied, pending and contested, by item.
SELECT s.figure, s.item, s.amount_minor
FROM receivables.item_sums(%(lane)b, access.account(), %(day)b, %(position)b) AS s
ORDER BY s.figure, s.item;

-- name: unbilled
-- The current activity.
SELECT s.current_activity_minor
FROM receivables.summary(%(lane)b, access.account(), %(day)b, %(position)b) AS s;

-- name: movements
-- The movements of items before a place, the latest first, each with the type of its event.
SELECT m.figure, m.item, m.position, m.n, m.version, m.recorded_at, m.effective_on, m.amount_minor,
       split_part((
           SELECT e.topic FROM ledger.event AS e
           WHERE e.lane = %(lane)b AND e.position = m.position
       ), ':', 1) AS type
FROM (
    SELECT o.figure, o.item, o.position, o.n, o.version, o.recorded_at, o.effective_on,
           o.amount_minor
    FROM receivables.item_movements(
        %(lane)b, access.account(), %(day)b, %(position)b, %(figures)b::text[], %(items)b::text[]
    ) AS o
    WHERE (o.position, o.n) < (%(before)b, %(before_n)b)
    ORDER BY o.position DESC, o.n DESC
    LIMIT %(limit)b
) AS m
ORDER BY m.position DESC, m.n DESC;

-- name: lines
-- The lines of the current activity before a version, the latest first; each is one event.
SELECT 'unbilled' AS figure, l.id AS item, e.position, 0 AS n, l.seq AS version, e.recorded_at,
       l.effective_on, l.total_minor AS amount_minor, split_part(e.topic, ':', 1) AS type
FROM (
    SELECT a.id, a.seq, a.effective_on, a.total_minor
    FROM receivables.activity(%(lane)b, access.account(), %(day)b, %(position)b) AS a
    WHERE a.seq < %(before)b AND a.total_minor <> 0
    ORDER BY a.seq DESC
    LIMIT %(limit)b
) AS l
CROSS JOIN LATERAL (
    SELECT v.position, v.recorded_at, v.topic
    FROM ledger.event AS v
    WHERE v.lane = %(lane)b AND v.account_id = access.account() AND v.version = l.seq
    OFFSET 0
) AS e
ORDER BY l.seq DESC;

-- name: hold
-- Whether the views are those that this transaction began to see. A rebuild swaps them with the tracked
-- positions for itself alone, so none does from here on until the transaction ends.
SELECT EXISTS (
    SELECT FROM pg_namespace AS n
    WHERE n.nspname = 'receivables' AND n.oid = to_regnamespace('receivables')
)
FROM receivables.tracking AS t
WHERE t.lane = %(lane)b;

-- name: let_in
-- One account alone is seen until the transaction ends.
SELECT set_config('billing.scope', %(account_id)s::text, true),
       set_config('billing.account', %(account_id)s::text, true);

-- name: currency
-- The currency of the account, if it was known at the position.
SELECT a.currency
FROM receivables.account AS a
WHERE a.lane = %(lane)b AND a.account_id = access.account() AND a.first_position <= %(position)b;
