-- What bulk input must know of accounts that exist, run as billing_auditor.

-- name: state
-- The state of an account, or no row.
SELECT a.state FROM ledger.account AS a
WHERE a.lane = %(lane)s AND a.account_id = %(account_id)s;
