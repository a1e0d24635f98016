-- Statements of keeping logins and tokens over HTTP, run as billing_registrar.

-- name: made_under
-- What was made under a key, or no row.
SELECT m.request_sha256, m.password_hash, m.made FROM access.made_under(%(key)b) AS m;

-- name: logins
-- Logins, newest first.
SELECT l.id, l.role, l.client_id, l.account_numbers, l.email, l.status, l.must_change_password,
       l.has_second_factor, l.created_at, l.disabled_at
FROM access.logins(
    %(id)b::uuid, %(role)b::text, %(status)b::text, %(after_created_at)b::timestamptz,
    %(after_id)b::uuid, %(rows_max)b
) AS l
ORDER BY l.created_at DESC, l.id DESC;

-- name: make_login
-- What became of making a login under a key.
SELECT access.make_login_once(
    %(key)b, %(request_sha256)b, %(given_hash)b::text, %(id)b, %(role)b, %(password_hash)b,
    %(must_change)b, %(client_id)b::text, %(lanes)b::int[], %(account_ids)b::uuid[],
    %(account_numbers)b::text[], %(email)b::text
);

-- name: change_login
-- What became of changing a login.
SELECT access.change_login(
    %(admin)b, %(id)b, %(disabled)b::boolean, %(role)b::text, %(sets_email)b, %(email)b::text,
    %(lanes)b::int[], %(account_ids)b::uuid[], %(account_numbers)b::text[],
    %(password_hash)b::text, %(drops_second_factor)b
);

-- name: tokens
-- Tokens of services, newest first.
SELECT t.id, t.name, t.scopes, t.status, t.created_at, t.revoked_at
FROM access.tokens(
    %(id)b::uuid, %(status)b::text, %(after_created_at)b::timestamptz, %(after_id)b::uuid,
    %(rows_max)b
) AS t
ORDER BY t.created_at DESC, t.id DESC;

-- name: issue_token
-- What became of issuing a token under a key.
SELECT access.issue_token_once(
    %(key)b, %(request_sha256)b, %(id)b, %(token_sha256)b, %(name)b, %(scopes)b::text[]
);

-- name: revoke_token
-- Whether there ever was such a token.
SELECT access.revoke_token(%(id)b);
