-- What is asked of the journal by whoever sees all accounts, at a day and a position of every lane
-- (null: as it stands).

-- name: trial_balance
-- By currency and account what was there before the first day (or posting period) asked for, what was
-- debited and credited since, and what that comes to, as numbers of any size.
SELECT s.currency, s.account,
       COALESCE(sum(s.debit_minor - s.credit_minor) FILTER (WHERE s.is_before), 0)::text AS opening,
       COALESCE(sum(s.debit_minor) FILTER (WHERE NOT s.is_before), 0)::text AS debit,
       COALESCE(sum(s.credit_minor) FILTER (WHERE NOT s.is_before), 0)::text AS credit,
       sum(s.debit_minor - s.credit_minor)::text AS balance
FROM (
    SELECT v.currency, v.account, v.entries, v.debit_minor, v.credit_minor,
           COALESCE(v.period < %(period)b::date, v.effective_on < %(from)b::date, false)
               AS is_before
    FROM journal.sums(
        %(positions)b::bigint[],
        CASE WHEN %(period)b::date IS NULL THEN %(from)b::date END,
        CASE WHEN %(period)b::date IS NULL THEN %(day)b::date END
    ) AS v
    WHERE COALESCE(v.period <= %(period)b::date, v.effective_on <= %(day)b::date)
) AS s
GROUP BY s.currency, s.account
-- Of a month that days were taken off nothing may be left; that it is nothing is told by its sums.
HAVING sum(s.entries) <> 0 OR sum(s.debit_minor) <> 0 OR sum(s.credit_minor) <> 0
ORDER BY s.currency, s.account;

-- name: ledger_balances
-- By currency what an account of the books had before a day (or posting period) and up to another.
SELECT v.currency, COALESCE(sum(v.debit_minor - v.credit_minor) FILTER (
           WHERE COALESCE(v.period < %(period)b::date, v.effective_on < %(from)b::date)
       ), 0)::text AS opening,
       sum(v.debit_minor - v.credit_minor)::text AS closing
FROM journal.sums(
    %(positions)b::bigint[],
    CASE WHEN %(period)b::date IS NULL THEN %(from)b::date END,
    CASE WHEN %(period)b::date IS NULL THEN %(to)b::date END
) AS v
WHERE v.account = %(account)b
  AND COALESCE(v.period <= %(period)b::date, v.effective_on <= %(to)b::date)
GROUP BY v.currency
HAVING sum(v.entries) <> 0 OR sum(v.debit_minor) <> 0 OR sum(v.credit_minor) <> 0
ORDER BY v.currency;

-- name: entries
-- Entries from before a place in the order, newest first; of a posting period if given, late ones only
-- if so asked. Those of a posting period are of its days, or late. Which they are is found in the
-- indexes first, then read.
WITH lanes AS (
    SELECT (p.n - 1)::int AS lane, p.position,
           -- Of what has the place's day, only what stands before it in the order.
           CASE
               WHEN p.n - 1 < %(before_lane)b::int THEN 9223372036854775807
               WHEN p.n - 1 = %(before_lane)b::int THEN %(before_position)b::bigint
               ELSE 0
           END AS before_position,
           CASE WHEN p.n - 1 = %(before_lane)b::int THEN %(before_n)b::int ELSE 0 END AS before_n
    FROM unnest(COALESCE(
        %(positions)b::bigint[], ARRAY(SELECT t.position FROM journal.tracking AS t ORDER BY t.lane)
    )) WITH ORDINALITY AS p (position, n)
), found AS (
    SELECT l.lane, e.effective_on, e.position, e.n
    FROM lanes AS l
    CROSS JOIN LATERAL (
        (
            SELECT v.effective_on, v.position, v.n
            FROM journal.entry AS v
            WHERE NOT %(late)b::boolean
              AND v.lane = l.lane
              AND (v.effective_on, v.position, v.n)
                  < (%(before_on)b::date, l.before_position, l.before_n)
              AND v.effective_on >= %(from)b::date AND v.effective_on <= %(to)b::date
              AND v.position <= l.position
              AND (%(period)b::date IS NULL OR v.period = %(period)b)
            ORDER BY v.effective_on DESC, v.position DESC, v.n DESC
            LIMIT %(limit)b
        )
        UNION ALL
        (
            SELECT v.effective_on, v.position, v.n
            FROM journal.entry AS v
            WHERE (%(late)b::boolean OR %(period)b::date IS NOT NULL)
              AND v.lane = l.lane AND v.period > v.effective_on
              AND (v.effective_on, v.position, v.n)
                  < (%(before_on)b::date, l.before_position, l.before_n)
              AND (%(period)b::date IS NULL OR v.period = %(period)b)
              AND (%(period)b::date IS NOT NULL OR (
                  v.effective_on >= %(from)b::date AND v.effective_on <= %(to)b::date
              ))
              AND v.position <= l.position
            ORDER BY v.effective_on DESC, v.position DESC, v.n DESC
            LIMIT %(limit)b
        )
    ) AS e
    ORDER BY e.effective_on DESC, l.lane DESC, e.position DESC, e.n DESC
    LIMIT %(limit)b
)
SELECT e.lane, e.position, e.n, e.recorded_at, e.effective_on, e.period, e.currency, e.amount_minor,
       e.kind, e.debit, e.credit, e.document, e.invoice, a.account_number
FROM found AS f
JOIN journal.entry AS e ON e.lane = f.lane AND e.position = f.position AND e.n = f.n
JOIN journal.account AS a ON a.lane = e.lane AND a.account_id = e.account_id
ORDER BY e.effective_on DESC, e.lane DESC, e.position DESC, e.n DESC;

-- name: entries_on
-- The same of an account of the books: of its days, newest first, as many as fill the page. The days of
-- each lane are found by its sums, so entries of other accounts are passed over on those days alone.
-- `from` and `to` are days also where a posting period is asked for. COALESCE of one condition, and a day
-- as a range, keep the planner from the indexes that have all accounts, or all days, in the same order.
WITH RECURSIVE lanes AS MATERIALIZED (
    SELECT t.lane, COALESCE(p.position, t.position) AS position,
           -- Of what has the place's day, only what stands before it in the order.
           CASE
               WHEN t.lane < %(before_lane)b::int THEN 9223372036854775807
               WHEN t.lane = %(before_lane)b::int THEN %(before_position)b::bigint
               ELSE 0
           END AS before_position,
           CASE WHEN t.lane = %(before_lane)b::int THEN %(before_n)b::int ELSE 0 END AS before_n,
           -- Days that began to be recorded later have no sum of what is known.
           COALESCE((
               SELECT max(b.recorded_day)
               FROM journal.lane_day AS b
               WHERE b.lane = t.lane AND b.first_position <= COALESCE(p.position, t.position)
           ), '-infinity') AS recorded_day
    FROM journal.tracking AS t
    LEFT JOIN unnest(%(positions)b::bigint[]) WITH ORDINALITY AS p (position, n)
        ON p.n = t.lane + 1
), walk AS (
    -- By lane the next day; the day that was read, and the entries found on it.
    SELECT ARRAY(
               SELECT (
                   SELECT d.effective_on
                   FROM journal.daily AS d
                   WHERE d.lane = l.lane AND d.account = %(account)b
                     AND d.effective_on >= %(from)b::date
                     AND d.effective_on <= LEAST(%(to)b::date, %(before_on)b::date)
                     AND (%(period)b::date IS NULL OR d.period = %(period)b)
                     AND (NOT %(late)b::boolean OR d.period > d.effective_on)
                     AND COALESCE(
                         %(positions)b::bigint[] IS NULL OR d.recorded_day <= l.recorded_day
                     )
                   ORDER BY d.effective_on DESC
                   LIMIT 1
               )
               FROM lanes AS l
               ORDER BY l.lane
           ) AS days,
           0::bigint AS found, NULL::int[] AS of_lane, NULL::bigint[] AS of_position,
           NULL::int[] AS of_n
    UNION ALL
    SELECT next.days, w.found + page.found, page.of_lane, page.of_position, page.of_n
    FROM walk AS w
    CROSS JOIN LATERAL (SELECT max(u.day) AS on_day FROM unnest(w.days) AS u (day)) AS newest
    CROSS JOIN LATERAL (
        SELECT count(*) AS found, array_agg(e.lane) AS of_lane, array_agg(e.position) AS of_position,
               array_agg(e.n) AS of_n
        FROM (
            SELECT l.lane, v.position, v.n
            FROM lanes AS l
            CROSS JOIN LATERAL (
                SELECT o.position, o.n
                FROM journal.entry AS o
                WHERE o.lane = l.lane
                  AND o.effective_on >= newest.on_day AND o.effective_on <= newest.on_day
                  AND (o.effective_on, o.position, o.n)
                      < (%(before_on)b::date, l.before_position, l.before_n)
                  AND o.position <= l.position
                  AND %(account)b IN (o.debit, o.credit)
                  AND (%(period)b::date IS NULL OR o.period = %(period)b)
                  AND (NOT %(late)b::boolean OR o.period > o.effective_on)
                ORDER BY o.effective_on DESC, o.position DESC, o.n DESC
                LIMIT %(limit)b
            ) AS v
            WHERE w.days[l.lane + 1] = newest.on_day
            ORDER BY l.lane DESC, v.position DESC, v.n DESC
            LIMIT %(limit)b
        ) AS e
    ) AS page
    CROSS JOIN LATERAL (
        SELECT ARRAY(
            SELECT CASE
                       WHEN w.days[l.lane + 1] < newest.on_day THEN w.days[l.lane + 1]
                       WHEN w.days[l.lane + 1] = newest.on_day THEN (
                           SELECT d.effective_on
                           FROM journal.daily AS d
                           WHERE d.lane = l.lane AND d.account = %(account)b
                             AND d.effective_on >= %(from)b::date
                             AND d.effective_on < newest.on_day
                             AND (%(period)b::date IS NULL OR d.period = %(period)b)
                             AND (NOT %(late)b::boolean OR d.period > d.effective_on)
                             AND COALESCE(
                         %(positions)b::bigint[] IS NULL OR d.recorded_day <= l.recorded_day
                     )
                           ORDER BY d.effective_on DESC
                           LIMIT 1
                       )
                   END
            FROM lanes AS l
            ORDER BY l.lane
        ) AS days
    ) AS next
    WHERE newest.on_day IS NOT NULL AND w.found < %(limit)b
)
SELECT e.lane, e.position, e.n, e.recorded_at, e.effective_on, e.period, e.currency, e.amount_minor,
       e.kind, e.debit, e.credit, e.document, e.invoice, a.account_number
FROM walk AS w
CROSS JOIN LATERAL unnest(w.of_lane, w.of_position, w.of_n) AS f (lane, position, n)
JOIN journal.entry AS e ON e.lane = f.lane AND e.position = f.position AND e.n = f.n
JOIN journal.account AS a ON a.lane = e.lane AND a.account_id = e.account_id
ORDER BY e.effective_on DESC, e.lane DESC, e.position DESC, e.n DESC
LIMIT %(limit)b;

-- name: is_opened
-- Whether there is an account.
SELECT EXISTS (
    SELECT FROM journal.account AS a
    WHERE a.lane = %(lane)b AND a.account_id = %(account_id)b
      AND COALESCE(a.position <= (%(positions)b::bigint[])[a.lane + 1], true)
);

-- name: entries_of
-- The same of one customer.
SELECT e.lane, e.position, e.n, e.recorded_at, e.effective_on, e.period, e.currency, e.amount_minor,
       e.kind, e.debit, e.credit, e.document, e.invoice, a.account_number
FROM journal.account AS a
JOIN journal.entry AS e ON e.lane = a.lane AND e.account_id = a.account_id
WHERE a.lane = %(lane)b AND a.account_id = %(account_id)b
  AND (e.effective_on, e.position, e.n)
      < (%(before_on)b::date, %(before_position)b::bigint, %(before_n)b::int)
  AND (%(period)b::date IS NOT NULL OR (
      e.effective_on >= %(from)b::date AND e.effective_on <= %(to)b::date
  ))
  AND (%(period)b::date IS NULL OR e.period = %(period)b)
  AND (NOT %(late)b::boolean OR e.period > e.effective_on)
  AND e.position <= COALESCE(
      (%(positions)b::bigint[])[a.lane + 1],
      (SELECT t.position FROM journal.tracking AS t WHERE t.lane = a.lane)
  )
  AND (%(account)b::text IS NULL OR %(account)b IN (e.debit, e.credit))
ORDER BY e.effective_on DESC, e.position DESC, e.n DESC
LIMIT %(limit)b;
