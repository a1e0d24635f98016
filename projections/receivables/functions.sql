-- How an account stands, live and as of any day and position: the SQL form of ledger/standing.py
-- and ledger/history.py, for one account named by its lane and id.
--
-- Bodies are bound to their tables when they are created (BEGIN ATOMIC), so they stay right when a
-- rebuild renames the schema, and the planner inlines them into the statement that calls them.
-- `the_position` null asks for the live state.

-- name: types
-- What the functions return, by row.
CREATE TYPE open_item AS (
    number text,
    due_on date,
    seq bigint,
    open_minor bigint,
    disputed_minor bigint
);
CREATE TYPE summary AS (
    lane int,
    account_id uuid,
    account_number text,
    client_id text,
    company text,
    country text,
    currency text,
    opened_on date,
    closed_on date,
    billing_cycle jsonb,
    terms jsonb,
    invoice_delivery text,
    delivery_channel text,
    payment_method text,
    language text,
    settings_version bigint,
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
    oldest_days int,
    last_payment_id text,
    last_payment_minor bigint,
    last_payment_on date,
    last_payment_method text,
    messages bigint,
    version bigint,
    position bigint,
    effective_on date
);

-- name: open_items
-- What is open of each invoice and debit item on a day, as known at a position; unordered.
CREATE FUNCTION open_items(the_lane int, the_account uuid, the_day date, the_position bigint)
RETURNS SETOF open_item
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT i.number, i.due_on, i.seq, i.open_minor, i.disputed_minor
    FROM invoice AS i
    WHERE the_position IS NULL
      AND i.lane = the_lane AND i.account_id = the_account AND i.open_minor <> 0
    UNION ALL
    SELECT i.number, i.due_on, i.seq, was.open_minor,
           greatest(least(was.open_minor, was.flagged_minor), 0)
    FROM invoice AS i
    CROSS JOIN LATERAL (
        SELECT COALESCE(sum(m.amount_minor) FILTER (WHERE m.figure = 'open'), 0)::bigint
                   AS open_minor,
               COALESCE(sum(m.amount_minor) FILTER (WHERE m.figure = 'flagged'), 0)::bigint
                   AS flagged_minor
        FROM movement AS m
        WHERE m.lane = i.lane AND m.account_id = i.account_id AND m.item = i.number
          AND m.item <> '' AND m.figure IN ('open', 'flagged')
          AND m.position <= the_position AND m.effective_on <= the_day
    ) AS was
    WHERE the_position IS NOT NULL
      AND i.lane = the_lane AND i.account_id = the_account
      AND i.position <= the_position AND i.issued_on <= the_day
      -- Paid off before both clocks: nothing can be open.
      AND (i.open_minor <> 0 OR i.moved_on > the_day OR i.moved_position > the_position)
      AND was.open_minor <> 0;
END;

-- name: summary
-- An account's identity, settings, figures and aging; no row when it was not known at the position.
-- The cover of an invoice is what unapplied credit leaves after those due before it. Amounts are
-- summed as if none were negative: an invoice's open amount never is, at any two clocks.
CREATE FUNCTION summary(the_lane int, the_account uuid, the_day date, the_position bigint)
RETURNS SETOF summary
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT a.lane, a.account_id, a.account_number, a.client_id, a.company, a.country, a.currency,
           a.opened_on,
           CASE
               WHEN the_position IS NULL
                    OR (a.closed_position <= the_position AND a.closed_on <= the_day)
               THEN a.closed_on
           END,
           chosen.billing_cycle, chosen.terms, chosen.invoice_delivery, chosen.delivery_channel,
           chosen.payment_method, chosen.language, chosen.version,
           owed.open_minor, money.unapplied_minor,
           owed.open_minor - money.unapplied_minor,
           greatest(owed.open_minor - money.unapplied_minor, 0),
           greatest(money.unapplied_minor - owed.open_minor, 0),
           owed.due_on, owed.past_due_minor, owed.days_past_due,
           money.unbilled_minor, money.pending_minor,
           greatest(
               greatest(owed.open_minor - money.unapplied_minor, 0) - money.pending_minor, 0
           ),
           owed.current_minor, owed.d1_30_minor, owed.d31_60_minor, owed.d61_90_minor,
           owed.d91_minor, owed.disputed_minor, owed.oldest_days,
           paid.payment_id, paid.amount_minor, paid.effective_on, paid.method,
           received.messages, known.version, known.position, the_day
    FROM account AS a
    -- The position the answer is complete up to: the lane's, or just before a parked event.
    CROSS JOIN LATERAL (
        SELECT COALESCE(
                   the_position,
                   (SELECT p.position - 1 FROM parked AS p
                    WHERE p.lane = a.lane AND p.account_id = a.account_id),
                   (SELECT t.position FROM tracking AS t WHERE t.lane = a.lane)
               ) AS position,
               CASE
                   WHEN the_position IS NULL THEN a.version
                   ELSE (
                       SELECT m.version FROM movement AS m
                       WHERE m.lane = a.lane AND m.account_id = a.account_id
                         AND m.position <= the_position
                       ORDER BY m.position DESC LIMIT 1
                   )
               END AS version
    ) AS known
    CROSS JOIN LATERAL settings(a.lane, a.account_id, the_day, the_position) AS chosen
    CROSS JOIN LATERAL (
        SELECT a.unapplied_minor, a.pending_minor,
               a.unbilled_minor - COALESCE(sum(d.unbilled_minor), 0)::bigint AS unbilled_minor
        FROM daily AS d
        WHERE the_position IS NULL
          AND d.lane = a.lane AND d.account_id = a.account_id AND d.effective_on > the_day
        HAVING the_position IS NULL
        UNION ALL
        SELECT COALESCE(sum(f.unapplied_minor), 0)::bigint,
               COALESCE(sum(f.pending_minor), 0)::bigint,
               COALESCE(sum(f.unbilled_minor), 0)::bigint
        FROM (
            SELECT l.recorded_day, l.first_position
            FROM lane_day AS l
            WHERE l.lane = a.lane AND l.first_position <= the_position
            ORDER BY l.recorded_day DESC
            LIMIT 1
        ) AS last
        CROSS JOIN LATERAL (
            SELECT d.unapplied_minor, d.pending_minor, d.unbilled_minor
            FROM daily AS d
            WHERE d.lane = a.lane AND d.account_id = a.account_id
              AND d.effective_on <= the_day AND d.recorded_day < last.recorded_day
            UNION ALL
            SELECT CASE WHEN m.figure = 'unapplied' THEN m.amount_minor END,
                   CASE WHEN m.figure = 'pending' THEN m.amount_minor END,
                   CASE WHEN m.figure = 'unbilled' THEN m.amount_minor END
            FROM movement AS m
            WHERE m.lane = a.lane AND m.account_id = a.account_id
              AND m.position BETWEEN last.first_position AND the_position
              AND m.effective_on <= the_day
        ) AS f
        WHERE the_position IS NOT NULL
        HAVING the_position IS NOT NULL
    ) AS money
    CROSS JOIN LATERAL (
        SELECT COALESCE(sum(i.open_minor), 0)::bigint AS open_minor,
               min(i.due_on) FILTER (WHERE i.through_minor > greatest(money.unapplied_minor, 0))
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
               COALESCE(sum(i.disputed_minor), 0)::bigint AS disputed_minor,
               greatest(COALESCE(max(i.days), 0), 0) AS oldest_days
        FROM (
            SELECT o.due_on, o.open_minor, o.disputed_minor, o.days, o.through_minor,
                   greatest(
                       o.open_minor - o.disputed_minor
                       - greatest(money.unapplied_minor - (o.through_minor - o.open_minor), 0),
                       0
                   ) AS left_minor
            FROM (
                SELECT i.due_on, i.open_minor, i.disputed_minor, the_day - i.due_on AS days,
                       sum(i.open_minor) OVER (ORDER BY i.due_on, i.seq) AS through_minor
                FROM open_items(a.lane, a.account_id, the_day, the_position) AS i
            ) AS o
        ) AS i
    ) AS owed
    LEFT JOIN LATERAL (
        (SELECT p.payment_id, p.processed_minor AS amount_minor, p.processed_on AS effective_on,
                p.method
         FROM payment AS p
         WHERE the_position IS NULL AND p.lane = a.lane AND p.account_id = a.account_id
           AND p.stage = 'processed' AND p.processed_minor > p.returned_minor
         ORDER BY p.processed_on DESC, p.processed_seq DESC
         LIMIT 1)
        UNION ALL
        (SELECT p.payment_id, s.amount_minor, s.effective_on, p.method
         FROM payment_step AS s
         JOIN payment AS p ON p.lane = s.lane AND p.account_id = s.account_id
                              AND p.payment_id = s.payment_id
         WHERE the_position IS NOT NULL AND s.lane = a.lane AND s.account_id = a.account_id
           AND s.step = 'processed' AND s.position <= the_position AND s.effective_on <= the_day
           AND (SELECT sum(k.received_minor) FROM payment_step AS k
                WHERE k.lane = s.lane AND k.account_id = s.account_id
                  AND k.payment_id = s.payment_id
                  AND k.position <= the_position AND k.effective_on <= the_day) > 0
         ORDER BY s.effective_on DESC, s.version DESC
         LIMIT 1)
    ) AS paid ON true
    CROSS JOIN LATERAL (
        SELECT CASE
                   WHEN the_position IS NULL THEN a.messages
                   ELSE (
                       SELECT count(*) FROM message AS m
                       WHERE m.lane = a.lane AND m.account_id = a.account_id
                         AND m.position <= the_position AND m.effective_on <= the_day
                   )
               END AS messages
    ) AS received
    WHERE a.lane = the_lane AND a.account_id = the_account
      AND (the_position IS NULL OR a.first_position <= the_position);
END;

-- name: summary_row
-- An account as it stands on the region's today.
CREATE FUNCTION summary_row(the_lane int, the_account uuid, today date)
RETURNS SETOF summary
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT s.* FROM summary(the_lane, the_account, today, NULL::bigint) AS s;
END;

-- name: summary_as_of
-- An account effective on a day, as known at a position of its lane that the view has reached.
CREATE FUNCTION summary_as_of(
    the_lane int, the_account uuid, effective_on date, the_position bigint
)
RETURNS SETOF summary
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT s.* FROM summary(the_lane, the_account, effective_on, the_position) AS s;
END;
