-- Money and credit, as of any day and position: payments, credits and refunds, what they were put
-- on and what is left of them.
-- A position that is null is passed over by LEAST: every position counts.

-- name: types
-- What the functions return, by row. `allocations` are [{invoice, amount_minor, effective_on}].
CREATE TYPE listed_payment AS (
    payment_id text COLLATE "C",
    seq bigint,
    status text,
    pay text,
    invoice text COLLATE "C",
    amount_minor bigint,
    processed_minor bigint,
    returned_minor bigint,
    refunded_minor bigint,
    unapplied_minor bigint,
    method text,
    reference text COLLATE "C",
    reason text,
    effective_on date,
    recorded_at timestamptz,
    allocations jsonb
);
CREATE TYPE listed_credit AS (
    credit_id text COLLATE "C",
    seq bigint,
    status text,
    amount_minor bigint,
    taxes jsonb,
    total_minor bigint,
    applies_to text,
    invoice text COLLATE "C",
    dispute_id text COLLATE "C",
    reason text,
    effective_on date,
    recorded_at timestamptz,
    allocations jsonb,
    refunded_minor bigint,
    unapplied_minor bigint,
    reversed_on date,
    reversed_reason text
);
CREATE TYPE listed_refund AS (
    refund_id text COLLATE "C",
    seq bigint,
    status text,
    amount_minor bigint,
    payment_id text COLLATE "C",
    method text,
    reason text,
    drawn jsonb,
    effective_on date,
    recorded_at timestamptz,
    reversed_on date,
    reversed_reason text
);

-- name: allocations_of
-- What is left of each allocation of a source. An undoing counts from its own day, which is never
-- before the allocation's.
CREATE FUNCTION allocations_of(
    the_lane int, the_account uuid, the_source text, the_day date, the_position bigint
)
RETURNS TABLE (
    seq bigint, n int, invoice text, amount_minor bigint, recovered_minor bigint,
    effective_on date
)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT a.made_version, a.made_n, a.invoice, sum(a.amount_minor)::bigint,
           sum(a.recovered_minor)::bigint, min(a.effective_on)
    FROM allocation AS a
    WHERE a.lane = the_lane AND a.account_id = the_account AND a.source = the_source
      AND a.effective_on <= the_day
      AND a.position <= LEAST(the_position, 9223372036854775807)
    GROUP BY a.made_version, a.made_n, a.invoice
    HAVING sum(a.amount_minor) <> 0;
END;

-- name: invoice_allocations
-- What is left of each allocation to an invoice; `recovered_minor` of it took back a write-off.
CREATE FUNCTION invoice_allocations(
    the_lane int, the_account uuid, the_number text, the_day date, the_position bigint
)
RETURNS TABLE (
    seq bigint, n int, source text, amount_minor bigint, recovered_minor bigint,
    effective_on date
)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT a.made_version, a.made_n, a.source, sum(a.amount_minor)::bigint,
           sum(a.recovered_minor)::bigint, min(a.effective_on)
    FROM allocation AS a
    WHERE a.lane = the_lane AND a.account_id = the_account AND a.invoice = the_number
      AND a.effective_on <= the_day
      AND a.position <= LEAST(the_position, 9223372036854775807)
    GROUP BY a.made_version, a.made_n, a.source
    HAVING sum(a.amount_minor) <> 0;
END;

-- name: applied
-- The allocations of a source as one JSON array, in the order in which they count.
CREATE FUNCTION applied(
    the_lane int, the_account uuid, the_source text, the_day date, the_position bigint
)
RETURNS TABLE (allocations jsonb)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT COALESCE(
               jsonb_agg(
                   jsonb_build_object(
                       'invoice', a.invoice, 'amount_minor', a.amount_minor,
                       'effective_on', a.effective_on
                   )
                   ORDER BY a.effective_on, a.seq, a.n
               ),
               '[]'
           )
    FROM allocations_of(the_lane, the_account, the_source, the_day, the_position) AS a;
END;

-- name: left_of
-- What of a source was unapplied.
CREATE FUNCTION left_of(
    the_lane int, the_account uuid, the_source text, the_day date, the_position bigint
)
RETURNS TABLE (unapplied_minor bigint)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT COALESCE(sum(m.amount_minor), 0)::bigint
    FROM movement AS m
    WHERE m.lane = the_lane AND m.account_id = the_account AND m.item = the_source
      AND m.item <> '' AND m.figure = 'unapplied' AND m.effective_on <= the_day
      AND m.position <= LEAST(the_position, 9223372036854775807);
END;

-- name: refunded_of
-- What refunds drew on a source: those that moved it on their day, and were not reversed.
CREATE FUNCTION refunded_of(
    the_lane int, the_account uuid, the_source text, the_day date, the_position bigint
)
RETURNS TABLE (refunded_minor bigint)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT COALESCE(sum((d.draw ->> 'amount_minor')::bigint), 0)::bigint
    FROM (
        SELECT DISTINCT m.version, m.effective_on
        FROM movement AS m
        WHERE m.lane = the_lane AND m.account_id = the_account AND m.item = the_source
          AND m.item <> '' AND m.figure = 'unapplied' AND m.effective_on <= the_day
          AND m.position <= LEAST(the_position, 9223372036854775807)
    ) AS moved
    JOIN refund AS r
        ON r.lane = the_lane AND r.account_id = the_account
        AND r.effective_on = moved.effective_on AND r.seq = moved.version
    CROSS JOIN LATERAL jsonb_array_elements(r.drawn) AS d (draw)
    WHERE d.draw ->> 'source' = the_source
      AND (r.reversed_on IS NULL OR r.reversed_on > the_day
           OR r.reversed_position > LEAST(the_position, 9223372036854775807));
END;

-- name: payments
-- The payments of an account, each at the step it counts from: its processing while that stands,
-- else its submission. Driven by the steps, so that a page is read in order at any clocks.
CREATE FUNCTION payments(the_lane int, the_account uuid, the_day date, the_position bigint)
RETURNS SETOF listed_payment
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT p.payment_id, p.seq,
           CASE
               WHEN the_position IS NULL THEN p.status
               WHEN was.returned_minor > 0 THEN 'returned'
               ELSE was.stage
           END,
           p.pay, p.invoice, p.amount_minor, was.processed_minor, was.returned_minor,
           CASE
               WHEN the_position IS NULL THEN p.refunded_minor
               ELSE (
                   SELECT r.refunded_minor
                   FROM refunded_of(
                       p.lane, p.account_id, 'payment:' || p.payment_id, the_day, the_position
                   ) AS r
               )
           END,
           CASE
               WHEN the_position IS NULL THEN p.unapplied_minor
               ELSE (
                   SELECT u.unapplied_minor
                   FROM left_of(
                       p.lane, p.account_id, 'payment:' || p.payment_id, the_day, the_position
                   ) AS u
               )
           END,
           p.method, was.reference, was.reason, s.effective_on, p.recorded_at,
           (SELECT a.allocations
            FROM applied(
                p.lane, p.account_id, 'payment:' || p.payment_id, the_day, the_position
            ) AS a)
    FROM payment_step AS s
    JOIN payment AS p
        ON p.lane = s.lane AND p.account_id = s.account_id AND p.payment_id = s.payment_id
    CROSS JOIN LATERAL (
        SELECT p.stage, COALESCE(p.processed_seq, p.seq) AS counts_from, p.processed_minor,
               p.returned_minor, p.reference, p.reason
        WHERE the_position IS NULL
        UNION ALL
        SELECT last.stage, CASE WHEN last.stage = 'processed' THEN last.version ELSE p.seq END,
               last.processed_minor, last.returned_minor, last.reference, last.reason
        FROM (
            SELECT COALESCE(
                       (array_agg(k.step ORDER BY k.version DESC)
                            FILTER (WHERE k.step IN ('processed', 'failed', 'unprocessed')))[1],
                       'submitted'
                   ) AS step,
                   max(k.version) FILTER (WHERE k.step = 'processed') AS version,
                   COALESCE(
                       sum(
                           CASE k.step
                               WHEN 'processed' THEN k.amount_minor
                               WHEN 'unprocessed' THEN -k.amount_minor
                           END
                       ),
                       0
                   )::bigint AS processed_minor,
                   COALESCE(
                       sum(
                           CASE k.step
                               WHEN 'returned' THEN k.amount_minor
                               WHEN 'reinstated' THEN -k.amount_minor
                           END
                       ),
                       0
                   )::bigint AS returned_minor,
                   (array_agg(k.reference ORDER BY k.version DESC)
                        FILTER (WHERE k.reference IS NOT NULL))[1] AS reference,
                   (array_agg(k.reason ORDER BY k.version DESC)
                        FILTER (WHERE k.reason IS NOT NULL))[1] AS reason
            FROM payment_step AS k
            WHERE the_position IS NOT NULL AND k.lane = p.lane AND k.account_id = p.account_id
              AND k.payment_id = p.payment_id AND k.effective_on <= the_day
              AND k.position <= the_position
        ) AS steps
        CROSS JOIN LATERAL (
            SELECT CASE
                       WHEN steps.step IN ('processed', 'failed') THEN steps.step
                       ELSE 'pending'
                   END AS stage, steps.version, steps.processed_minor, steps.returned_minor,
                   steps.reference, steps.reason
        ) AS last
        WHERE the_position IS NOT NULL
    ) AS was
    WHERE s.lane = the_lane AND s.account_id = the_account
      AND s.step IN ('submitted', 'processed') AND s.effective_on <= the_day
      AND s.position <= LEAST(the_position, 9223372036854775807)
      -- Spelled so, because the planner would take an equality to leave no more than a page.
      AND CASE WHEN s.version = was.counts_from THEN true ELSE false END;
END;

-- name: credits
-- The credits of an account; one for the next invoice names the invoice it stands on.
CREATE FUNCTION credits(the_lane int, the_account uuid, the_day date, the_position bigint)
RETURNS SETOF listed_credit
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT k.credit_id, k.seq, CASE WHEN gone.yes THEN 'reversed' ELSE 'issued' END,
           k.amount_minor, k.taxes, k.total_minor, k.applies_to, COALESCE(k.invoice, h.number),
           k.dispute_id, k.reason, k.effective_on, k.recorded_at,
           (SELECT a.allocations
            FROM applied(
                k.lane, k.account_id, 'credit:' || k.credit_id, the_day, the_position
            ) AS a),
           CASE
               WHEN the_position IS NULL THEN k.refunded_minor
               ELSE (
                   SELECT r.refunded_minor
                   FROM refunded_of(
                       k.lane, k.account_id, 'credit:' || k.credit_id, the_day, the_position
                   ) AS r
               )
           END,
           CASE
               WHEN the_position IS NULL THEN k.unapplied_minor
               ELSE (
                   SELECT u.unapplied_minor
                   FROM left_of(
                       k.lane, k.account_id, 'credit:' || k.credit_id, the_day, the_position
                   ) AS u
               )
           END,
           CASE WHEN gone.yes THEN k.reversed_on END,
           CASE WHEN gone.yes THEN k.reversed_reason END
    FROM credit AS k
    CROSS JOIN LATERAL (
        SELECT k.reversed_on <= the_day
               AND k.reversed_position <= LEAST(the_position, 9223372036854775807) AS yes
    ) AS gone
    LEFT JOIN LATERAL holding(
        k.lane, k.account_id, k.effective_on, k.seq, k.reversed_position, the_day, the_position
    ) AS h ON k.applies_to = 'next_invoice'
    WHERE k.lane = the_lane AND k.account_id = the_account
      AND k.position <= LEAST(the_position, 9223372036854775807)
      AND k.effective_on <= the_day;
END;

-- name: refunds
-- The refunds of an account, and what they drew on.
CREATE FUNCTION refunds(the_lane int, the_account uuid, the_day date, the_position bigint)
RETURNS SETOF listed_refund
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT r.refund_id, r.seq, CASE WHEN gone.yes THEN 'reversed' ELSE 'issued' END,
           r.amount_minor, r.payment_id, r.method, r.reason, r.drawn, r.effective_on,
           r.recorded_at, CASE WHEN gone.yes THEN r.reversed_on END,
           CASE WHEN gone.yes THEN r.reversed_reason END
    FROM refund AS r
    CROSS JOIN LATERAL (
        SELECT r.reversed_on <= the_day
               AND r.reversed_position <= LEAST(the_position, 9223372036854775807) AS yes
    ) AS gone
    WHERE r.lane = the_lane AND r.account_id = the_account
      AND r.position <= LEAST(the_position, 9223372036854775807)
      AND r.effective_on <= the_day;
END;

-- name: invoice_payments
-- The payments that name an invoice, or are on it.
CREATE FUNCTION invoice_payments(
    the_lane int, the_account uuid, the_number text, the_day date, the_position bigint
)
RETURNS SETOF listed_payment
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT p.*
    FROM payments(the_lane, the_account, the_day, the_position) AS p
    WHERE p.payment_id IN (
        SELECT substr(a.source, length('payment:') + 1) COLLATE "C"
        FROM invoice_allocations(
            the_lane, the_account, the_number, the_day, the_position
        ) AS a
        WHERE a.source LIKE 'payment:%'
        UNION
        SELECT o.payment_id
        FROM payment AS o
        WHERE o.lane = the_lane AND o.account_id = the_account AND o.invoice = the_number
    );
END;

-- name: invoice_credits
-- The credits that name an invoice, are on it, or are a line of it.
CREATE FUNCTION invoice_credits(
    the_lane int, the_account uuid, the_number text, the_day date, the_position bigint
)
RETURNS SETOF listed_credit
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT k.*
    FROM credits(the_lane, the_account, the_day, the_position) AS k
    WHERE k.credit_id IN (
        SELECT substr(a.source, length('credit:') + 1) COLLATE "C"
        FROM invoice_allocations(
            the_lane, the_account, the_number, the_day, the_position
        ) AS a
        WHERE a.source LIKE 'credit:%'
        UNION
        SELECT o.credit_id
        FROM credit AS o
        WHERE o.lane = the_lane AND o.account_id = the_account AND o.invoice = the_number
        UNION
        SELECT l.id
        FROM standing(the_lane, the_account, the_number, the_day, the_position) AS l
        WHERE l.kind = 'credit'
    );
END;
