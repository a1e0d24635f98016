-- Statements of cursors, run as billing_reader or billing_registrar.

-- name: signing_key
-- The region's key for cursors, 32 bytes.
SELECT access.signing_key_of_cursors();
