-- How all accounts stand, live and as of any day and position of every lane: what functions.sql says
-- of one account, for many of them at once, set by set.
--
-- `the_positions` are those of the lanes, by lane; null asks for the live state. The accounts are
-- those whose number is past `after_number` and not past `upto_number`; null for all. To be planned
-- with their values: branches that are not asked for then fall away.

-- name: types
-- What the functions return, by row. `unapplied_minor` and so on are as in `summary`.
CREATE TYPE lane_moment AS (
    lane int,
    position bigint,
    recorded_day date,
    first_position bigint,
    is_whole boolean
);
CREATE TYPE account_item AS (
    lane int,
    account_id uuid,
    number text COLLATE "C",
    due_on date,
    seq bigint,
    open_minor bigint,
    disputed_minor bigint
);
CREATE TYPE account_money AS (
    lane int,
    account_id uuid,
    account_number text COLLATE "C",
    company text,
    currency text COLLATE "C",
    unapplied_minor bigint,
    pending_minor bigint,
    unbilled_minor bigint
);
CREATE TYPE standing AS (
    lane int,
    account_id uuid,
    account_number text COLLATE "C",
    company text,
    currency text COLLATE "C",
    open_items bigint,
    open_minor bigint,
    unapplied_minor bigint,
    balance_minor bigint,
    total_amount_due_minor bigint,
    available_credit_minor bigint,
    due_on date,
    past_due_minor bigint,
    days_past_due int,
    current_activity_minor bigint,
    pending_payments_minor bigint,
    payable_now_minor bigint,
    current_minor bigint,
    d1_30_minor bigint,
    d31_60_minor bigint,
    d61_90_minor bigint,
    d91_minor bigint,
    disputed_minor bigint,
    oldest_days int
);

-- name: lane_moments
-- The day (UTC) that each lane's position was recorded on, and the first position of that day;
-- `is_whole` when the lane has recorded nothing after the position on that day.
CREATE FUNCTION lane_moments(the_positions bigint[])
RETURNS SETOF lane_moment
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT t.lane, known.position, day.recorded_day, day.first_position,
           known.position = COALESCE(
               (SELECT l.first_position - 1 FROM lane_day AS l
                WHERE l.lane = t.lane AND l.recorded_day > day.recorded_day
                ORDER BY l.recorded_day
                LIMIT 1),
               t.position
           )
    FROM tracking AS t
    CROSS JOIN LATERAL (SELECT the_positions[t.lane + 1] AS position OFFSET 0) AS known
    CROSS JOIN LATERAL (
        SELECT l.recorded_day, l.first_position
        FROM lane_day AS l
        WHERE l.lane = t.lane AND l.first_position <= known.position
        ORDER BY l.recorded_day DESC
        LIMIT 1
    ) AS day;
END;

-- name: account_invoices
-- The invoices and debit items of the accounts.
CREATE FUNCTION account_invoices(after_number text, upto_number text)
RETURNS SETOF invoice
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT i.* FROM invoice AS i WHERE after_number IS NULL
    UNION ALL
    SELECT i.*
    FROM account AS a
    JOIN invoice AS i ON i.lane = a.lane AND i.account_id = a.account_id
    WHERE after_number IS NOT NULL
      AND a.account_number > after_number AND a.account_number <= upto_number;
END;

-- name: account_dailies
-- The sums by day of the accounts.
CREATE FUNCTION account_dailies(after_number text, upto_number text)
RETURNS SETOF daily
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT d.* FROM daily AS d WHERE after_number IS NULL
    UNION ALL
    SELECT d.*
    FROM account AS a
    JOIN daily AS d ON d.lane = a.lane AND d.account_id = a.account_id
    WHERE after_number IS NOT NULL
      AND a.account_number > after_number AND a.account_number <= upto_number;
END;

-- name: account_items
-- What is open of each invoice and debit item of the accounts; unordered. An invoice that moved
-- after neither clock is as its row says; of the others the movements are summed.
CREATE FUNCTION account_items(
    the_day date, the_positions bigint[], after_number text, upto_number text
)
RETURNS SETOF account_item
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH known AS MATERIALIZED (
        SELECT m.lane, m.position FROM lane_moments(the_positions) AS m
    )
    SELECT i.lane, i.account_id, i.number, i.due_on, i.seq, i.open_minor, i.disputed_minor
    FROM account_invoices(after_number, upto_number) AS i
    WHERE the_positions IS NULL AND i.open_minor <> 0
    UNION ALL
    SELECT i.lane, i.account_id, i.number, i.due_on, i.seq, i.open_minor, i.disputed_minor
    FROM known AS k
    JOIN account_invoices(after_number, upto_number) AS i ON i.lane = k.lane
    WHERE the_positions IS NOT NULL
      AND i.open_minor <> 0 AND i.moved_on <= the_day AND i.moved_position <= k.position
    UNION ALL
    SELECT was.lane, was.account_id, was.number, was.due_on, was.seq, was.open_minor,
           greatest(least(was.open_minor, was.flagged_minor), 0)
    FROM (
        SELECT i.lane, i.account_id, i.number, min(i.due_on) AS due_on, min(i.seq) AS seq,
               COALESCE(sum(m.amount_minor) FILTER (WHERE m.figure = 'open'), 0)::bigint
                   AS open_minor,
               COALESCE(sum(m.amount_minor) FILTER (WHERE m.figure = 'flagged'), 0)::bigint
                   AS flagged_minor
        FROM known AS k
        JOIN account_invoices(after_number, upto_number) AS i ON i.lane = k.lane
        JOIN movement AS m
            ON m.lane = i.lane AND m.account_id = i.account_id AND m.item = i.number
        WHERE the_positions IS NOT NULL
          AND i.position <= k.position AND i.issued_on <= the_day
          AND (i.moved_on > the_day OR i.moved_position > k.position)
          AND m.item <> '' AND m.figure IN ('open', 'flagged')
          AND m.position <= k.position AND m.effective_on <= the_day
        GROUP BY i.lane, i.account_id, i.number
    ) AS was
    WHERE was.open_minor <> 0;
END;

-- name: account_moneys
-- The accounts known, and their sums that are of no invoice. Days that are over are read from their
-- sums; of a day that goes on after the position, the movements of accounts that it has any of.
CREATE FUNCTION account_moneys(
    the_day date, the_positions bigint[], after_number text, upto_number text
)
RETURNS SETOF account_money
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH known AS MATERIALIZED (
        SELECT m.lane, m.position, m.recorded_day, m.first_position, m.is_whole
        FROM lane_moments(the_positions) AS m
    ),
    -- By lane, the last day that is over: in an array, because sums of a scan are made in parallel
    -- and by hashing, those of a join whose size nobody can foresee by sorting.
    over AS MATERIALIZED (
        SELECT array_agg(COALESCE(k.recorded_day - (NOT k.is_whole)::int, '-infinity')
                         ORDER BY t.lane) AS days
        FROM tracking AS t
        LEFT JOIN known AS k ON k.lane = t.lane
    )
    SELECT a.lane, a.account_id, a.account_number, a.company, a.currency,
           a.unapplied_minor, a.pending_minor,
           a.unbilled_minor - COALESCE(ahead.unbilled_minor, 0)
    FROM account AS a
    LEFT JOIN (
        SELECT d.lane, d.account_id, sum(d.unbilled_minor)::bigint AS unbilled_minor
        FROM account_dailies(after_number, upto_number) AS d
        WHERE the_positions IS NULL AND d.effective_on > the_day
        GROUP BY d.lane, d.account_id
    ) AS ahead ON ahead.lane = a.lane AND ahead.account_id = a.account_id
    WHERE the_positions IS NULL
      AND (after_number IS NULL
           OR (a.account_number > after_number AND a.account_number <= upto_number))
    UNION ALL
    SELECT a.lane, a.account_id, a.account_number, a.company, a.currency,
           COALESCE(moved.unapplied_minor, 0), COALESCE(moved.pending_minor, 0),
           COALESCE(moved.unbilled_minor, 0)
    FROM known AS k
    JOIN account AS a ON a.lane = k.lane AND a.first_position <= k.position
    LEFT JOIN (
        SELECT f.lane, f.account_id, sum(f.unapplied_minor)::bigint AS unapplied_minor,
               sum(f.pending_minor)::bigint AS pending_minor,
               sum(f.unbilled_minor)::bigint AS unbilled_minor
        FROM (
            SELECT d.lane, d.account_id, d.unapplied_minor, d.pending_minor, d.unbilled_minor
            FROM account_dailies(after_number, upto_number) AS d
            WHERE d.effective_on <= the_day
              AND d.recorded_day <= (SELECT o.days FROM over AS o)[d.lane + 1]
            UNION ALL
            SELECT m.lane, m.account_id,
                   CASE WHEN m.figure = 'unapplied' THEN m.amount_minor ELSE 0 END,
                   CASE WHEN m.figure = 'pending' THEN m.amount_minor ELSE 0 END,
                   CASE WHEN m.figure = 'unbilled' THEN m.amount_minor ELSE 0 END
            FROM (
                SELECT DISTINCT d.lane, d.account_id, k.first_position, k.position
                FROM known AS k
                JOIN account_dailies(after_number, upto_number) AS d ON d.lane = k.lane
                WHERE NOT k.is_whole AND d.effective_on <= the_day AND d.recorded_day = k.recorded_day
            ) AS busy
            JOIN movement AS m ON m.lane = busy.lane AND m.account_id = busy.account_id
                AND m.position BETWEEN busy.first_position AND busy.position
                AND m.effective_on <= the_day
        ) AS f
        GROUP BY f.lane, f.account_id
    ) AS moved ON moved.lane = a.lane AND moved.account_id = a.account_id
    WHERE the_positions IS NOT NULL
      AND (after_number IS NULL
           OR (a.account_number > after_number AND a.account_number <= upto_number));
END;

-- name: standings
-- Every figure of each account known, as `summary` has it; unordered.
CREATE FUNCTION standings(
    the_day date, the_positions bigint[], after_number text, upto_number text
)
RETURNS SETOF standing
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH money AS MATERIALIZED (
        SELECT m.lane, m.account_id, m.account_number, m.company, m.currency, m.unapplied_minor,
               m.pending_minor, m.unbilled_minor
        FROM account_moneys(the_day, the_positions, after_number, upto_number) AS m
    )
    SELECT m.lane, m.account_id, m.account_number, m.company, m.currency,
           COALESCE(owed.open_items, 0), COALESCE(owed.open_minor, 0), m.unapplied_minor,
           balance.minor, greatest(balance.minor, 0), greatest(-balance.minor, 0),
           owed.due_on, COALESCE(owed.past_due_minor, 0), COALESCE(owed.days_past_due, 0),
           m.unbilled_minor, m.pending_minor,
           greatest(greatest(balance.minor, 0) - m.pending_minor, 0),
           COALESCE(owed.current_minor, 0), COALESCE(owed.d1_30_minor, 0),
           COALESCE(owed.d31_60_minor, 0), COALESCE(owed.d61_90_minor, 0),
           COALESCE(owed.d91_minor, 0), COALESCE(owed.disputed_minor, 0),
           COALESCE(owed.oldest_days, 0)
    FROM money AS m
    LEFT JOIN (
        SELECT i.lane, i.account_id, count(*) AS open_items, sum(i.open_minor)::bigint AS open_minor,
               min(i.due_on) FILTER (WHERE i.through_minor > greatest(i.unapplied_minor, 0))
                   AS due_on,
               COALESCE(sum(i.left_minor) FILTER (WHERE i.days > 0), 0)::bigint AS past_due_minor,
               COALESCE(max(i.days) FILTER (WHERE i.days > 0 AND i.left_minor > 0), 0)
                   AS days_past_due,
               COALESCE(sum(i.open_minor) FILTER (WHERE i.days <= 0), 0)::bigint AS current_minor,
               COALESCE(sum(i.open_minor) FILTER (WHERE i.days BETWEEN 1 AND 30), 0)::bigint
                   AS d1_30_minor,
               COALESCE(sum(i.open_minor) FILTER (WHERE i.days BETWEEN 31 AND 60), 0)::bigint
                   AS d31_60_minor,
               COALESCE(sum(i.open_minor) FILTER (WHERE i.days BETWEEN 61 AND 90), 0)::bigint
                   AS d61_90_minor,
               COALESCE(sum(i.open_minor) FILTER (WHERE i.days > 90), 0)::bigint AS d91_minor,
               sum(i.disputed_minor)::bigint AS disputed_minor,
               greatest(max(i.days), 0) AS oldest_days
        FROM (
            SELECT o.lane, o.account_id, o.due_on, o.open_minor, o.disputed_minor, o.days,
                   o.unapplied_minor, o.through_minor,
                   greatest(
                       o.open_minor - o.disputed_minor
                       - greatest(o.unapplied_minor - (o.through_minor - o.open_minor), 0),
                       0
                   ) AS left_minor
            FROM (
                SELECT i.lane, i.account_id, i.due_on, i.open_minor, i.disputed_minor,
                       the_day - i.due_on AS days, m.unapplied_minor,
                       sum(i.open_minor) OVER (
                           PARTITION BY i.lane, i.account_id ORDER BY i.due_on, i.seq
                       ) AS through_minor
                FROM account_items(the_day, the_positions, after_number, upto_number) AS i
                JOIN money AS m ON m.lane = i.lane AND m.account_id = i.account_id
            ) AS o
        ) AS i
        GROUP BY i.lane, i.account_id
    ) AS owed ON owed.lane = m.lane AND owed.account_id = m.account_id
    CROSS JOIN LATERAL (
        SELECT COALESCE(owed.open_minor, 0) - m.unapplied_minor AS minor
    ) AS balance;
END;

-- name: is_listed
-- Whether an account belongs to a list of standings: of those that have open items or unapplied
-- credit ('aged'), that owe, are owed, are past due, dispute something, or (null) have anything.
CREATE FUNCTION is_listed(the standing, status text)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE COALESCE(status, '')
               WHEN 'aged' THEN (the).open_items > 0 OR (the).unapplied_minor <> 0
               WHEN 'owing' THEN (the).balance_minor > 0
               WHEN 'credit_balance' THEN (the).balance_minor < 0
               WHEN 'past_due' THEN (the).past_due_minor > 0
               WHEN 'disputed' THEN (the).disputed_minor > 0
               ELSE (the).open_items > 0 OR (the).unapplied_minor <> 0
                    OR (the).current_activity_minor <> 0 OR (the).pending_payments_minor <> 0
           END;
END;
