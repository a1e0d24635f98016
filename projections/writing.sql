-- How rows of any read model get into its tables.

-- name: copy
-- Made rows of any table, into tables that nobody else writes.
COPY {table} ({columns}) FROM STDIN (FORMAT binary);

-- name: note_lane_day
-- The first position of a lane on a day, unless the day has begun before.
INSERT INTO lane_day (lane, recorded_day, first_position)
SELECT given.lane, given.recorded_day, given.first_position
FROM unnest(
    %b::int[], %b::date[], %b::bigint[]
) AS given (
    lane, recorded_day, first_position
)
ON CONFLICT (lane, recorded_day) DO NOTHING;
