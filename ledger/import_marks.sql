-- How far imports got, run as billing_writer.

-- name: read
-- The marks of a file in some lanes.
SELECT m.lane, m.line, m.left_lines
FROM ledger.import_mark AS m
WHERE m.lane = ANY(%(lanes)s) AND m.file_sha256 = %(file_sha256)s
ORDER BY m.lane;

-- name: write
-- A lane's mark moves on; what is left up to it is known only to whoever got as far.
INSERT INTO ledger.import_mark AS m (lane, file_sha256, line, left_lines, moved_at)
VALUES (%(lane)s, %(file_sha256)s, %(line)s, %(left)s, clock_timestamp())
ON CONFLICT (lane, file_sha256) DO UPDATE
SET line = EXCLUDED.line, left_lines = EXCLUDED.left_lines, moved_at = EXCLUDED.moved_at
WHERE m.line <= EXCLUDED.line;

-- name: forget
-- A file that is done needs no marks, one that nobody went on with for a month gets none.
DELETE FROM ledger.import_mark AS m
WHERE m.file_sha256 = %(file_sha256)s OR m.moved_at < now() - interval '30 days';
