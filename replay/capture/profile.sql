-- profile: what frames the questions in the script for psql; a part is taken by its name.

-- name: head
-- What `replay capture` asks of production, for psql (PostgreSQL 14 to 18, psql 11 or later):
--
--     psql -X -d DATABASE -f profile.sql -o profile.out
--
-- It reads the catalog, some settings, pg_stats and pg_stat_statements, and of each table a sample of at
-- most 2,000 pages, of which it writes codes (places in pg_stats), never values; over one connection, in
-- read-only transactions that are rolled back, with timeouts; it makes no object and writes nothing
-- but the output file. Run it as a user with pg_read_all_stats and SELECT on the tables (pg_stats
-- shows statistics of no others), in the database that the workload is of.
--
-- THE OUTPUT HOLDS VALUES OF YOUR TABLES: most common values and histogram bounds from pg_stats, and
-- the literals of utility statements from pg_stat_statements. Keep it where production's data may
-- be, until capture has scrubbed it there: replay capture --profile profile.out -o shop.workload

\set QUIET on
\set ECHO none
\set ON_ERROR_STOP off
\set ON_ERROR_ROLLBACK off
\set AUTOCOMMIT on
\set FETCH_COUNT 0
\timing off
\pset pager off
\pset format unaligned
\pset tuples_only on
\pset expanded off
\pset null ''
\encoding UTF8

-- Lines in the server's log are known for this script's by their application_name.
SELECT set_config('application_name', '{application}', false) AS replay_profile \gset

\qecho '{first}'

-- name: begin
-- Read only, and never waiting for long; nothing outlasts the ROLLBACK.
BEGIN READ ONLY;
SELECT set_config('statement_timeout', '60s', true), set_config('lock_timeout', '2s', true),
       set_config('idle_in_transaction_session_timeout', '60s', true) AS replay_profile \gset

-- name: which
-- Whether there is a pg_stat_statements to ask, and where.
\set created false
\set tells false
SELECT replay_profile.* FROM (
{extension}
) AS replay_profile \gset
