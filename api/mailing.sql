-- Statements of mailing, run as billing_registrar.

-- name: take
-- The next mail that is due, or no row.
SELECT m.id, m.kind, m.email, m.attempts
FROM access.take_mail(
    %(token_sha256)s, %(lifetime_s)s, %(lease_s)s, %(wait_s_max)s, %(sent_max)s
) AS m;

-- name: sent
-- The mail was taken.
SELECT access.mail_was_sent(%(mail)s);

-- name: failed
-- The mail was not taken.
SELECT access.mail_failed(%(mail)s, %(fault)s, %(again_in_s)s::int);
