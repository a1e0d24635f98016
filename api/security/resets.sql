-- Statements of passwords forgotten, run as billing_sign_in.

-- name: ask
-- Seconds to wait (0: a mail was put into the outbox, if there is anybody to mail to).
SELECT access.ask_password_reset(
    %(buckets)b, %(limits)b, %(window_s)b, %(identifier)b, %(mail)b
);

-- name: look_up
-- Counts the try; seconds to wait (0: go on), and whose password the link may set.
SELECT counted.wait_s, link.login_id, link.identifiers
FROM access.try_in_buckets(%(buckets)b, %(limits)b, %(window_s)b) AS counted
LEFT JOIN LATERAL access.reset_to_use(%(token_sha256)b) AS link ON true;

-- name: use
-- Whether the password was set.
SELECT access.use_password_reset(%(token_sha256)b, %(new_hash)b);
