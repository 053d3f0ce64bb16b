-- A database and a user of the same name for each part that keeps something in PostgreSQL; no other user gets in.
\set ON_ERROR_STOP on
\getenv journal JOURNAL_PASSWORD
\getenv ledger LEDGER_PASSWORD
\getenv gateway GATEWAY_PASSWORD

create temporary table wanted (name text, password text);
insert into wanted values ('journal', :'journal'), ('ledger', :'ledger'), ('gateway', :'gateway');

select format('create role %I login', name) from wanted where name not in (select rolname from pg_roles) \gexec
select format('alter role %I password %L', name, password) from wanted \gexec
select format('create database %I owner %I', name, name) from wanted
    where name not in (select datname from pg_database) \gexec
select format('revoke all on database %I from public', name) from wanted \gexec
