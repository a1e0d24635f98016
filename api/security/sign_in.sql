-- Statements of sign-in, run as billing_sign_in.

-- name: try
-- Counts the try; seconds to wait (0: go on), and the login to check, if there is one.
SELECT counted.wait_s, login.login_id, login.password_hash
FROM access.try_in_buckets(%(buckets)b, %(limits)b, %(window_s)b) AS counted
LEFT JOIN LATERAL access.login_to_check(%(identifier)b) AS login ON true;

-- name: open_session
-- The session of a login whose password was right, or no row.
SELECT opened.role, opened.expires_at, opened.must_change_password, opened.account_numbers
FROM access.open_session(
    %(login_id)b, %(password_hash)b, %(token_sha256)b, %(lifetime_s)b, %(bucket)b
) AS opened;
