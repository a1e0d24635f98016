-- An account itself, as of any day and position: who it belongs to, its settings and its messages.
-- A position that is null is passed over by LEAST: every position counts.

-- name: types
-- What the functions return, by row.
CREATE TYPE listed_settings AS (
    version bigint,
    effective_on date,
    recorded_at timestamptz,
    invoice_delivery text,
    delivery_channel text,
    payment_method text,
    language text,
    billing_cycle jsonb,
    terms jsonb
);

CREATE TYPE listed_message AS (
    message_id text COLLATE "C",
    seq bigint,
    effective_on date,
    recorded_at timestamptz,
    digest text,
    body text
);

-- name: identity
-- Whose an account is, and the version that was known; no row when it was not known.
CREATE FUNCTION identity(the_lane int, the_account uuid, the_day date, the_position bigint)
RETURNS TABLE (
    account_number text, client_id text, company text, country text, currency text,
    opened_on date, closed_on date, version bigint
)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT a.account_number, a.client_id, a.company, a.country, a.currency, a.opened_on,
           CASE
               WHEN a.closed_on <= the_day
                    AND a.closed_position <= LEAST(the_position, 9223372036854775807)
               THEN a.closed_on
           END,
           CASE
               WHEN the_position IS NULL THEN a.version
               ELSE (
                   SELECT m.version FROM movement AS m
                   WHERE m.lane = a.lane AND m.account_id = a.account_id
                     AND m.position <= the_position
                   ORDER BY m.position DESC LIMIT 1
               )
           END
    FROM account AS a
    WHERE a.lane = the_lane AND a.account_id = the_account
      AND a.first_position <= LEAST(the_position, 9223372036854775807);
END;

-- name: settings
-- The settings in force on a day: of each, the latest change that counts, then the one recorded
-- last. `version` is that of the last change known, whenever it counts from.
CREATE FUNCTION settings(the_lane int, the_account uuid, the_day date, the_position bigint)
RETURNS TABLE (
    version bigint, invoice_delivery text, delivery_channel text, payment_method text,
    language text, billing_cycle jsonb, terms jsonb
)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT (SELECT l.version FROM setting AS l
            WHERE l.lane = the_lane AND l.account_id = the_account
              AND l.position <= LEAST(the_position, 9223372036854775807)
            ORDER BY l.version DESC LIMIT 1),
           (array_agg(s.invoice_delivery ORDER BY s.effective_on DESC, s.version DESC)
                FILTER (WHERE s.invoice_delivery IS NOT NULL))[1],
           (array_agg(s.delivery_channel ORDER BY s.effective_on DESC, s.version DESC)
                FILTER (WHERE s.delivery_channel IS NOT NULL))[1],
           (array_agg(s.payment_method ORDER BY s.effective_on DESC, s.version DESC)
                FILTER (WHERE s.payment_method IS NOT NULL))[1],
           (array_agg(s.language ORDER BY s.effective_on DESC, s.version DESC)
                FILTER (WHERE s.language IS NOT NULL))[1],
           (array_agg(s.billing_cycle ORDER BY s.effective_on DESC, s.version DESC)
                FILTER (WHERE s.billing_cycle IS NOT NULL))[1],
           (array_agg(s.terms ORDER BY s.effective_on DESC, s.version DESC)
                FILTER (WHERE s.terms IS NOT NULL))[1]
    FROM setting AS s
    WHERE s.lane = the_lane AND s.account_id = the_account AND s.effective_on <= the_day
      AND s.position <= LEAST(the_position, 9223372036854775807);
END;

-- name: settings_ahead
-- The changes known that count from a later day; what a change leaves as it was is null.
CREATE FUNCTION settings_ahead(
    the_lane int, the_account uuid, the_day date, the_position bigint
)
RETURNS SETOF listed_settings
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT s.version, s.effective_on, s.recorded_at, s.invoice_delivery, s.delivery_channel,
           s.payment_method, s.language, s.billing_cycle, s.terms
    FROM setting AS s
    WHERE s.lane = the_lane AND s.account_id = the_account AND s.effective_on > the_day
      AND s.position <= LEAST(the_position, 9223372036854775807);
END;

-- name: messages
-- The messages to an account's owner; the text of one that was erased is null.
CREATE FUNCTION messages(the_lane int, the_account uuid, the_day date, the_position bigint)
RETURNS SETOF listed_message
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT m.message_id, m.seq, m.effective_on, m.recorded_at, m.digest, t.body
    FROM message AS m
    LEFT JOIN ledger.message_text AS t
        ON t.lane = m.lane AND t.account_id = m.account_id AND t.message_id = m.message_id
    WHERE m.lane = the_lane AND m.account_id = the_account
      AND m.position <= LEAST(the_position, 9223372036854775807)
      AND m.effective_on <= the_day;
END;
