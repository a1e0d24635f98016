-- Statements of whoever keeps logins and tokens, run as billing_registrar.

-- name: make_login
-- What became of making a login.
SELECT access.make_login(
    %(id)s, %(role)s, %(password_hash)s, %(must_change)s, %(client_id)s,
    %(lanes)s::int[], %(account_ids)s::uuid[], %(account_numbers)s::text[], %(email)s
);

-- name: reset_login
-- Whether there was such a login to give a new password.
SELECT access.reset_login(%(identifier)s, %(password_hash)s, %(must_change)s);

-- name: lock_login
-- Whether there was such a login to lock.
SELECT access.lock_login(%(identifier)s);

-- name: drop_second_factor
-- Whether there was such a login to be asked for no code.
SELECT access.drop_second_factor(%(identifier)s);

-- name: password_hash
-- The hash of a login that is not locked, or no row.
SELECT l.password_hash FROM access.login_to_check(%(identifier)s) AS l;

-- name: issue_token
-- A token is good for scopes.
SELECT access.issue_token(%(id)s, %(token_sha256)s, %(name)s, %(scopes)s::text[]);

-- name: revoke_tokens
-- How many tokens of a name were good until now.
SELECT access.revoke_tokens(%(name)s);
