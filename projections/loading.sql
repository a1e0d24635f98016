-- What loading asks of the tables it fills, whose schema is the search path.

-- name: reached
-- A lane's rows are complete up to a position.
UPDATE tracking SET position = %(position)s WHERE lane = %(lane)s;
