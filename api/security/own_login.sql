-- Statements on the login of a session, run as billing_sign_in.

-- name: try
-- Counts the try; seconds to wait (0: go on), and what the login is checked by.
SELECT counted.wait_s, own.login_id, own.password_hash, own.identifiers, own.secret,
       own.last_step, own.confirmed_at
FROM access.try_in_buckets(%(buckets)b::bytea[], %(limits)b::int[], %(window_s)b) AS counted
LEFT JOIN LATERAL access.own_login(%(token_sha256)b) AS own ON true;

-- name: change_password
-- When the new session ends, or no row when nothing was changed.
SELECT changed.expires_at
FROM access.change_password(
    %(token_sha256)b, %(password_hash)b, %(new_hash)b, %(new_token_sha256)b, %(lifetime_s)b,
    %(bucket)b
) AS changed;

-- name: sign_out
-- The session is over.
SELECT access.sign_out(%(token_sha256)b);

-- name: start_second_factor
-- Whether the secret now waits to be confirmed.
SELECT access.start_second_factor(
    %(token_sha256)b, %(password_hash)b, %(secret)b, %(bucket)b
);

-- name: confirm_second_factor
-- Whether codes of that secret are needed from now on.
SELECT access.confirm_second_factor(
    %(token_sha256)b, %(secret)b, %(step)b::bigint, %(recovery_sha256)b::bytea[], %(bucket)b
);

-- name: remove_second_factor
-- Whether no code is needed any more.
SELECT access.remove_second_factor(
    %(token_sha256)b, %(password_hash)b, %(step)b::bigint, %(recovery_sha256)b::bytea,
    %(buckets)b::bytea[]
);
