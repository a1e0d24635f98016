-- How rows of any read model get into its tables.

-- name: copy
-- Made rows of any table, into tables that nobody else writes.
COPY {table} ({columns}) FROM STDIN (FORMAT binary);

-- name: note_lane_day
-- The first position of a lane on a day, unless an earlier one is known; the first one known is not
-- that of the day while the account it is of is parked.
INSERT INTO lane_day (lane, recorded_day, first_position)
SELECT given.lane, given.recorded_day, given.first_position
FROM unnest(
    %b::int[], %b::date[], %b::bigint[]
) AS given (
    lane, recorded_day, first_position
)
WHERE COALESCE((
    SELECT known.first_position > given.first_position
    FROM lane_day AS known
    WHERE known.lane = given.lane AND known.recorded_day = given.recorded_day
), true)
ON CONFLICT (lane, recorded_day) DO UPDATE SET first_position = EXCLUDED.first_position;
