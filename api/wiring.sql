-- Statements of setting a database up, run as its owner.

-- name: admit
-- The login may act as the roles of the doors.
SELECT access.admit(%(login)s);
