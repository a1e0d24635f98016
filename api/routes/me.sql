-- Statements on whoever asks, run as billing_reader.

-- name: me
-- Who the token is, or no row.
SELECT m.id, m.role, m.client_id, m.identifiers, m.account_numbers, m.must_change_password,
       m.session_id, m.created_at, m.last_used_at, m.expires_at, m.name, m.scopes
FROM access.me(%(token_sha256)b) AS m;

-- name: sessions
-- The sessions of the token's login, newest first.
SELECT s.id, s.created_at, s.last_used_at, s.expires_at, s.is_current
FROM access.my_sessions(
    %(token_sha256)b, %(after_created_at)b::timestamptz, %(after_id)b::uuid, %(rows_max)b
) AS s
ORDER BY s.created_at DESC, s.id DESC;

-- name: second_factor
-- How the second factor of the token's login stands.
SELECT f.confirmed_at, f.is_started, f.recovery_codes_left
FROM access.my_second_factor(%(token_sha256)b) AS f;
