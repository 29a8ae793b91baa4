-- questions: what capture asks of production beside its schema (PostgreSQL 14 to 18), and
-- {extension} in it stands for the schema of pg_stat_statements.

-- name: settings
-- What bears on the log and on plans, locks and vacuum, in the form that SHOW gives.
SELECT name, current_setting(name) AS value
FROM pg_catalog.pg_settings
WHERE name LIKE 'log\_%'
   OR name IN ('max_connections', 'shared_buffers', 'work_mem', 'random_page_cost',
               'effective_cache_size', 'deadlock_timeout', 'default_transaction_isolation',
               'autovacuum')

-- name: extension
-- Whether pg_stat_statements was created in this database, where, and whether it tells of itself
-- (from its version 1.9 on); one row, always.
SELECT e.oid IS NOT NULL AS created,
       n.nspname AS extension,
       EXISTS (SELECT FROM pg_catalog.pg_class AS c
               WHERE c.relnamespace = n.oid AND c.relname = 'pg_stat_statements_info') AS tells
FROM (SELECT 'pg_stat_statements' AS name) AS sought
LEFT JOIN pg_catalog.pg_extension AS e ON e.extname = sought.name
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace

-- name: started
-- When the server started, and what time it has; moments are microseconds since 1970.
SELECT (extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::bigint AS since_us,
       0 AS evictions,
       (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_us

-- name: counting
-- Since when pg_stat_statements counts, and how often it had to evict entries.
SELECT (extract(epoch FROM stats_reset) * 1000000)::bigint AS since_us,
       dealloc AS evictions,
       (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_us
FROM {extension}.pg_stat_statements_info

-- name: statements
-- What pg_stat_statements counted in this database, by query and user: texts have no literals but
-- in utility statements. Columns are read by name through JSON, because their names changed with
-- the extension's versions: total_time before 1.8, blk_read_time before 1.11.
SELECT s.queryid AS query_id,
       s.query AS text,
       (extract(epoch FROM (j.columns ->> 'stats_since')::timestamptz) * 1000000)::bigint
           AS since_us,
       s.calls,
       coalesce(j.columns -> 'total_exec_time', j.columns -> 'total_time') AS total_ms,
       s.rows,
       s.shared_blks_hit AS shared_hit,
       s.shared_blks_read AS shared_read,
       s.shared_blks_dirtied AS shared_dirtied,
       s.shared_blks_written AS shared_written,
       s.temp_blks_read AS temp_read,
       s.temp_blks_written AS temp_written,
       coalesce(j.columns -> 'shared_blk_read_time', j.columns -> 'blk_read_time') AS read_ms,
       coalesce(j.columns -> 'shared_blk_write_time', j.columns -> 'blk_write_time') AS write_ms,
       j.columns -> 'wal_bytes' AS wal_bytes
FROM {extension}.pg_stat_statements AS s,
     LATERAL (SELECT to_jsonb(s) - 'query' AS columns) AS j
WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND coalesce((j.columns ->> 'toplevel')::boolean, true)
