-- The lists of an account at a moment, newest first, run as billing_reader for the account that the
-- transaction was let in for. {list} is a function of the views, {on} the day its rows are in order
-- of, {id} what they are called. `day` bounds what counts, `position` null is the live state;
-- `before_on` and `before_seq` are where the page before ended.

-- name: page
-- A page of a list.
SELECT l.*
FROM {list}(%(lane)b, access.account(), %(day)b, %(position)b) AS l
WHERE l.{on} BETWEEN %(from)b AND %(to)b
  AND (l.{on}, l.seq) < (%(before_on)b, %(before_seq)b)
ORDER BY l.{on} DESC, l.seq DESC
LIMIT %(limit)b;

-- name: page_of_status
-- A page of what has a status.
SELECT l.*
FROM {list}(%(lane)b, access.account(), %(day)b, %(position)b) AS l
WHERE l.{on} BETWEEN %(from)b AND %(to)b AND l.status = %(status)b
  AND (l.{on}, l.seq) < (%(before_on)b, %(before_seq)b)
ORDER BY l.{on} DESC, l.seq DESC
LIMIT %(limit)b;

-- name: page_of_invoice
-- A page of a list of an invoice.
SELECT l.*
FROM {list}(%(lane)b, access.account(), %(invoice)b, %(day)b, %(position)b) AS l
WHERE l.{on} BETWEEN %(from)b AND %(to)b
  AND (l.{on}, l.seq) < (%(before_on)b, %(before_seq)b)
ORDER BY l.{on} DESC, l.seq DESC
LIMIT %(limit)b;

-- name: page_put_on_invoice
-- A page of what names an invoice or was put on it, of a status or (null) of any.
SELECT l.*
FROM {list}(%(lane)b, access.account(), %(invoice)b, %(day)b, %(position)b) AS l
WHERE l.{on} BETWEEN %(from)b AND %(to)b
  AND (%(status)b::text IS NULL OR l.status = %(status)b)
  AND (l.{on}, l.seq) < (%(before_on)b, %(before_seq)b)
ORDER BY l.{on} DESC, l.seq DESC
LIMIT %(limit)b;

-- name: one
-- One thing by what it is called.
SELECT l.*
FROM {list}(%(lane)b, access.account(), %(day)b, %(position)b) AS l
WHERE l.{id} = %(id)b;

-- name: invoice_allocations
-- What was put on an invoice, in the order in which it counts.
SELECT a.source, a.amount_minor, a.recovered_minor, a.effective_on
FROM receivables.invoice_allocations(
    %(lane)b, access.account(), %(invoice)b, %(day)b, %(position)b
) AS a
ORDER BY a.effective_on, a.seq, a.n
LIMIT %(limit)b;

-- name: identity
-- Whose the account is.
SELECT i.account_number, i.client_id, i.company, i.country, i.currency, i.opened_on, i.closed_on
FROM receivables.identity(%(lane)b, access.account(), %(day)b, %(position)b) AS i;

-- name: settings
-- The settings in force on a day.
SELECT s.version, s.invoice_delivery, s.delivery_channel, s.payment_method, s.language,
       s.billing_cycle, s.terms
FROM receivables.settings(%(lane)b, access.account(), %(day)b, %(position)b) AS s;

-- name: settings_ahead
-- The changes that count from a later day, in order.
SELECT s.version, s.effective_on, s.invoice_delivery, s.delivery_channel, s.payment_method,
       s.language, s.billing_cycle, s.terms
FROM receivables.settings_ahead(%(lane)b, access.account(), %(day)b, %(position)b) AS s
ORDER BY s.effective_on, s.version;

-- name: current_activity
-- What the lines of the current activity come to.
SELECT COALESCE(sum(l.total_minor), 0)::bigint
FROM receivables.activity(%(lane)b, access.account(), %(day)b, %(position)b) AS l;

-- name: balance
-- The balance effective on a day.
SELECT s.balance_minor
FROM receivables.summary(%(lane)b, access.account(), %(day)b, %(position)b) AS s;

-- name: aging
-- Open amounts by days past due on a day.
SELECT s.current_minor, s.d1_30_minor, s.d31_60_minor, s.d61_90_minor, s.d91_minor,
       s.disputed_minor, s.oldest_days
FROM receivables.summary(%(lane)b, access.account(), %(day)b, %(position)b) AS s;

-- name: statement
-- What changed the balance between two days, in order, and what of the days before them, from one
-- on, was recorded after a position.
SELECT l.effective_on, l.position, l.n, l.version, l.kind, l.reference, l.detail, l.change_minor,
       l.recorded_at
FROM receivables.statement(
    %(lane)b, access.account(), %(from_on)b, %(last_on)b, %(position)b
) AS l
WHERE l.effective_on >= %(first_on)b OR l.position > %(known)b
ORDER BY l.effective_on, l.position, l.n
LIMIT %(limit)b;

-- name: accounts
-- Accounts in scope by number: all, or those whose number or client ID begins with some words or
-- whose company's name holds them.
SELECT a.account_number, a.client_id, a.company, a.country, a.currency, a.opened_on, a.closed_on
FROM receivables.account AS a
WHERE a.account_number > %(after)b
  AND (%(words)b::text IS NULL
       OR starts_with(lower(a.account_number), lower(%(words)b))
       OR starts_with(lower(a.client_id), lower(%(words)b))
       OR strpos(lower(a.company), lower(%(words)b)) > 0)
ORDER BY a.account_number
LIMIT %(limit)b;
