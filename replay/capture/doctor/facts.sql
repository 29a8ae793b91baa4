-- facts: what the doctor looks at, in one row. Settings that this user may not see are absent.
-- The alias replay_doctor keeps this text out of what capture counts.
SELECT current_user AS username,
       current_database() AS database,
       current_setting('server_version_num')::int AS version,
       extract(epoch FROM clock_timestamp())::float8 AS clock_s,
       pg_has_role('pg_read_all_stats', 'USAGE') AS reads_all_stats,
       has_function_privilege('pg_control_system()', 'EXECUTE') AS knows_identity,
       (SELECT r.rolname
          FROM pg_roles AS r
         WHERE r.rolname IN ('rds_superuser', 'cloudsqlsuperuser', 'azure_pg_admin')
         LIMIT 1) AS managed_by,
       (SELECT json_object_agg(s.name, current_setting(s.name))
          FROM pg_settings AS s
         WHERE s.name LIKE 'log\_%'
            OR s.name LIKE 'pg\_stat\_statements.%'
            OR s.name IN ('logging_collector', 'lc_messages', 'compute_query_id',
                          'shared_preload_libraries', 'track_io_timing')) AS settings,
       (SELECT coalesce(json_agg(s.name ORDER BY s.name), '[]')
          FROM pg_settings AS s
         WHERE s.pending_restart) AS waiting_for_restart,
       columns.known AS columns,
       columns.readable AS columns_readable,
       columns.analyzed AS columns_analyzed,
       activity.xacts / greatest(extract(epoch FROM now() - activity.since), 1)::float8
           AS xacts_per_s,
       (SELECT n.nspname
          FROM pg_extension AS e
          JOIN pg_namespace AS n ON n.oid = e.extnamespace
         WHERE e.extname = 'pg_stat_statements') AS statements_schema
  FROM (SELECT count(*) AS known,
               count(*) FILTER (WHERE has_column_privilege(c.oid, a.attnum, 'SELECT')) AS readable,
               count(v.attname) AS analyzed
          FROM pg_class AS c
          JOIN pg_namespace AS n ON n.oid = c.relnamespace
          JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          LEFT JOIN pg_stats AS v
            ON v.schemaname = n.nspname AND v.tablename = c.relname AND v.attname = a.attname
               AND NOT v.inherited
         WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
           AND n.nspname <> 'information_schema') AS columns,
       (SELECT (d.xact_commit + d.xact_rollback)::float8 AS xacts,
               coalesce(d.stats_reset, pg_postmaster_start_time()) AS since
          FROM pg_stat_database AS d
         WHERE d.datname = current_database()) AS activity,
       (SELECT 1) AS replay_doctor
