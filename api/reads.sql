-- The statement of signed-in reading, run as billing_reader.

-- name: summaries
-- A verdict and, where allowed, a summary for each place of the arrays.
SELECT * FROM access.read_summaries(
    %b, %b, %b, %b, %b, %b, %b, %b, %b, %b
);
