-- counters: every figure that the server counts, as (kind, name, document of figures): tables with
-- their I/O, indexes, this database, and the server's SLRU caches. Columns that a version lacks are
-- absent from its document. SLRU caches have one name over all versions: subtransaction, multixact_offset …
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
UNION ALL
SELECT 'slru', coalesce(
           (SELECT now_named FROM (VALUES
                ('CommitTs', 'commit_timestamp'), ('MultiXactMember', 'multixact_member'),
                ('MultiXactOffset', 'multixact_offset'), ('Notify', 'notify'),
                ('Serial', 'serializable'), ('Subtrans', 'subtransaction'), ('Xact', 'transaction')
            ) AS known (before_17, now_named) WHERE before_17 = s.name), s.name),
       to_jsonb(s)
FROM pg_stat_slru s
UNION ALL
SELECT 'conflict', datname, to_jsonb(c)
FROM pg_stat_database_conflicts c
WHERE datname = current_database()
