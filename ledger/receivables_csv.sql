-- What of a receivables file is kept on disk between its two passes: a private SQLite database.

-- name: create_customer
-- One row for each customer; `line` is the first that names it.
CREATE TABLE customer (
  account TEXT NOT NULL PRIMARY KEY,
  country TEXT NOT NULL,
  paperless_on TEXT,
  switch_on TEXT,
  terms_days INTEGER NOT NULL,
  line INTEGER NOT NULL
) WITHOUT ROWID;

-- name: create_invoice
-- One row for each good line.
CREATE TABLE invoice (
  account TEXT NOT NULL,
  number TEXT NOT NULL,
  issued_on TEXT NOT NULL,
  due_on TEXT NOT NULL,
  amount_minor INTEGER NOT NULL,
  disputed INTEGER NOT NULL,
  settled_on TEXT,
  line INTEGER NOT NULL,
  PRIMARY KEY (account, number)
) WITHOUT ROWID;

-- name: forget_customers
-- Starts the staging afresh.
DELETE FROM customer;

-- name: forget_invoices
-- Starts the staging afresh.
DELETE FROM invoice;

-- name: add_customer
-- Keeps what the first line of a customer says.
INSERT INTO customer (account, country, paperless_on, switch_on, terms_days, line)
VALUES (:account, :country, :paperless_on, :switch_on, :terms_days, :line)
ON CONFLICT DO NOTHING;

-- name: find_customer
-- What the first line of a customer said.
SELECT country, paperless_on, line FROM customer WHERE account = :account;

-- name: add_invoice
-- Keeps a line; changes no row when the customer's invoice is there already.
INSERT INTO invoice (account, number, issued_on, due_on, amount_minor, disputed, settled_on, line)
VALUES (:account, :number, :issued_on, :due_on, :amount_minor, :disputed, :settled_on, :line)
ON CONFLICT DO NOTHING;

-- name: find_invoice
-- The line that is kept for a customer's invoice.
SELECT issued_on, due_on, amount_minor, disputed, settled_on, line
  FROM invoice WHERE account = :account AND number = :number;

-- name: steps
-- Every step of every account. An account's go by day; on a day settings, then each line's charge
-- with its own invoice, then disputes, then each line's resolution and payment. The first steps of
-- all accounts come first, then the second ones, so that a batch holds many accounts.
WITH step (account, day, rank, line, part, kind, number) AS (
  SELECT c.account, min(min(i.issued_on), coalesce(c.switch_on, '9999')), 0, c.line, 0, 'open', ''
    FROM customer c JOIN invoice i ON i.account = c.account
   GROUP BY c.account
  UNION ALL
  SELECT account, switch_on, 1, line, 0, 'switch', '' FROM customer WHERE switch_on IS NOT NULL
  UNION ALL
  SELECT account, issued_on, 2, line, 0, 'charge', number FROM invoice
  UNION ALL
  SELECT account, issued_on, 2, line, 1, 'invoice', number FROM invoice
  UNION ALL
  SELECT account, issued_on, 3, line, 0, 'dispute', number FROM invoice
   WHERE disputed AND amount_minor > 0
  UNION ALL
  SELECT account, settled_on, 4, line, 0, 'resolve', number FROM invoice
   WHERE disputed AND amount_minor > 0 AND settled_on IS NOT NULL
  UNION ALL
  SELECT account, settled_on, 4, line, 1, 'pay', number FROM invoice
   WHERE amount_minor > 0 AND settled_on IS NOT NULL
)
SELECT s.account, s.day, s.line, s.kind, c.country, c.terms_days,
       i.number, i.due_on, i.amount_minor
  FROM step s
  JOIN customer c ON c.account = s.account
  LEFT JOIN invoice i ON i.account = s.account AND i.number = s.number
 ORDER BY row_number() OVER (
            PARTITION BY s.account ORDER BY s.day, s.rank, s.line, s.part), s.account;

-- name: count_steps
-- How many rows `steps` gives.
SELECT (SELECT count(*) + count(switch_on) FROM customer)
     + (SELECT coalesce(sum(
          2 + (disputed AND amount_minor > 0)
            + (disputed AND amount_minor > 0 AND settled_on IS NOT NULL)
            + (amount_minor > 0 AND settled_on IS NOT NULL)), 0) FROM invoice);
