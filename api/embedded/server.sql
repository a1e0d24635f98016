-- What a new embedded server lacks; each block gives the statements to run, none when nothing lacks.

-- name: missing_login_roles
-- The statements that make the two login roles. The owner may create roles, as migrations do;
-- neither is a superuser.
SELECT format('CREATE ROLE %%I LOGIN %%s PASSWORD %%L', name, attribute, password) AS statement
FROM (
    VALUES
        ('billing_owner', 'CREATEROLE', %(billing_owner)s::text),
        ('billing_service', '', %(billing_service)s::text)
) AS wanted (name, attribute, password)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name)
ORDER BY name;

-- name: missing_database
-- The statement that makes a database, in UTF-8 with C order, owned by the owner.
SELECT format(
    'CREATE DATABASE %%I OWNER billing_owner TEMPLATE template0 ENCODING ''UTF8'' LOCALE ''C''',
    wanted.name
) AS statement
FROM (SELECT %(database)s::text AS name) AS wanted
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = wanted.name);
