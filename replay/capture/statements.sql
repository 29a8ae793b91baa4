-- statements: what pg_stat_statements counted in this database, by query and user.
-- Columns are read by name through JSON, because their names changed with the extension's versions.
SELECT s.queryid,
       s.query,
       s.calls,
       coalesce(j.columns ->> 'total_exec_time', j.columns ->> 'total_time')::float8 AS total_ms,
       s.rows,
       (extract(epoch FROM (j.columns ->> 'stats_since')::timestamptz) * 1000000)::bigint AS since_us
FROM {extension}.pg_stat_statements AS s,
     LATERAL (SELECT to_jsonb(s) - 'query' AS columns) AS j
WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND coalesce((j.columns ->> 'toplevel')::boolean, true)
