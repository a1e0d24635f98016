-- The statement of signed-in reading, run as billing_reader.

-- name: summaries
-- A verdict and, where allowed, a summary for each place of the arrays.
SELECT * FROM access.read_summaries(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
);
