-- What figures of an account are made of: sums of movements by item, and the movements themselves.

-- name: types
-- What the functions return, by row.
CREATE TYPE item_sum AS (figure text, item text, amount_minor bigint);
CREATE TYPE item_movement AS (
    figure text,
    item text,
    position bigint,
    n int,
    version bigint,
    recorded_at timestamptz,
    effective_on date,
    amount_minor bigint
);

-- name: item_sums
-- What is unapplied of each source and pending of each payment, where it is not nothing; and what
-- disputes contest of each invoice. As of a day and a position.
CREATE FUNCTION item_sums(the_lane int, the_account uuid, the_day date, the_position bigint)
RETURNS SETOF item_sum
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT m.figure, m.item, sum(m.amount_minor)::bigint
    FROM movement AS m
    WHERE m.lane = the_lane AND m.account_id = the_account
      AND m.figure IN ('unapplied', 'pending', 'flagged')
      AND m.position <= the_position AND m.effective_on <= the_day
    GROUP BY m.figure, m.item
    HAVING sum(m.amount_minor) <> 0;
END;

-- name: item_movements
-- The movements of items, each of one figure, as of a day and a position.
CREATE FUNCTION item_movements(
    the_lane int, the_account uuid, the_day date, the_position bigint, figures text[], items text[]
)
RETURNS SETOF item_movement
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT m.figure, m.item, m.position, m.n, m.version, m.recorded_at, m.effective_on,
           m.amount_minor
    FROM unnest(figures, items) AS asked (figure, item)
    JOIN movement AS m
        ON m.lane = the_lane AND m.account_id = the_account AND m.item = asked.item
        AND m.item <> '' AND m.figure = asked.figure
    WHERE m.position <= the_position AND m.effective_on <= the_day;
END;
