-- counters: every figure that the server counts, as (kind, name, document of figures): tables with
-- their I/O, indexes, and this database. Columns that a version lacks are absent from its document.
SELECT 'table', s.schemaname || '.' || s.relname, to_jsonb(s) || to_jsonb(io)
FROM pg_stat_user_tables s JOIN pg_statio_user_tables io USING (relid)
WHERE s.schemaname <> 'replay'
UNION ALL
SELECT 'index', schemaname || '.' || indexrelname, to_jsonb(i)
FROM pg_stat_user_indexes i
WHERE schemaname <> 'replay'
UNION ALL
SELECT 'database', datname, to_jsonb(d)
FROM pg_stat_database d
WHERE datname = current_database()
