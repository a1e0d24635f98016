-- Whose memory is looked at.

-- name: server_process
-- The process that answers this connection.
SELECT pg_backend_pid();
