-- Statements of sign-in, run as billing_sign_in.

-- name: try
-- Counts the try; seconds to wait (0: go on), and the login to check, if there is one.
SELECT counted.wait_s, login.login_id, login.password_hash, factor.secret, factor.last_step
FROM access.try_in_buckets(%(buckets)b, %(limits)b, %(window_s)b) AS counted
LEFT JOIN LATERAL access.login_to_check(%(identifier)b) AS login ON true
LEFT JOIN LATERAL access.factor_to_check(login.login_id) AS factor ON true;

-- name: count
-- Counts a try; seconds to wait (0: go on).
SELECT access.try_in_buckets(%(buckets)b, %(limits)b, %(window_s)b);

-- name: sign_in
-- The session of a login whose password and code were right, or no row.
SELECT opened.role, opened.expires_at, opened.must_change_password, opened.account_numbers
FROM access.sign_in(
    %(login_id)b, %(password_hash)b, %(token_sha256)b, %(lifetime_s)b, %(buckets)b::bytea[],
    %(step)b::bigint, %(recovery_sha256)b::bytea
) AS opened;
