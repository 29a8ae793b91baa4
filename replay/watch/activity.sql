-- activity: one sample in one round trip. Every session of this database that is not plainly idle,
-- and, only where one waits on a lock, what it waits for and who is in its way.
--
-- pg_locks is reached through a one-time filter: while nobody waits it is not called at all, and of
-- its granted rows only tuple locks leave it, because they tell which relation the row is in that a
-- waiter on a transaction id is after. Parallel workers stand for their leader. A blocker is listed
-- even where it is idle, is no client, or works in another database; a prepared transaction is
-- pid 0 among the blockers and has no row.
WITH everyone AS MATERIALIZED (
    SELECT pid, coalesce(leader_pid, pid) AS session, datname = current_database() AS here,
           backend_type, state, wait_event_type, wait_event,
           CASE WHEN application_name = 'staging-replay-load' THEN left(query, 64)
                ELSE left(query, 240) END AS query,
           application_name = 'staging-replay-load' AS ours, xact_start, query_start,
           backend_xmin, backend_xid
    FROM pg_stat_activity
    WHERE pid <> pg_backend_pid()
), waits AS MATERIALIZED (
    SELECT pid,
           CASE WHEN wait_event = 'SafeSnapshot' THEN pg_safe_snapshot_blocking_pids(pid)
                ELSE pg_blocking_pids(pid) END AS blockers
    FROM everyone
    WHERE here AND (wait_event_type = 'Lock' OR wait_event = 'SafeSnapshot')
), locks AS MATERIALIZED (
    SELECT pid, granted, locktype, mode, relation, waitstart,
           CASE locktype
                WHEN 'tuple' THEN '(' || page || ',' || tuple || ')'
                WHEN 'advisory' THEN concat_ws(' ', classid, objid, objsubid)
                WHEN 'object' THEN coalesce(classid::regclass::text, '') || ' ' || objid
           END AS key
    FROM pg_locks
    WHERE (NOT granted OR locktype = 'tuple') AND (SELECT count(*) > 0 FROM waits)
), waited AS (
    SELECT pid, max(locktype) FILTER (WHERE NOT granted) AS lock_type,
           max(mode) FILTER (WHERE NOT granted) AS mode,
           max(waitstart) FILTER (WHERE NOT granted) AS since,
           coalesce(max(relation) FILTER (WHERE NOT granted), max(relation)) AS relation,
           coalesce(max(key) FILTER (WHERE NOT granted), max(key)) AS key
    FROM locks
    GROUP BY pid
)
SELECT e.session, coalesce(e.state, e.backend_type), coalesce(e.wait_event_type, ''), coalesce(e.wait_event, ''), e.query,
       coalesce(date_part('epoch', clock_timestamp() - e.xact_start) * 1e6, 0)::int8,
       coalesce(date_part('epoch', clock_timestamp() - e.query_start) * 1e6, 0)::int8,
       e.here AND e.backend_type = 'client backend' AND e.state <> 'idle',
       coalesce(w.blockers, '{}'),
       coalesce(l.lock_type, e.wait_event, ''), coalesce(l.mode, ''),
       coalesce((SELECT n.nspname || '.' || c.relname
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE c.oid = l.relation), ''),
       coalesce(date_part('epoch', clock_timestamp() - l.since) * 1e6, 0)::int8,
       coalesce(l.key, ''), coalesce(e.ours, false),
       coalesce(greatest(age(e.backend_xmin), age(e.backend_xid)), -1)
FROM everyone e
LEFT JOIN waits w ON w.pid = e.pid
LEFT JOIN waited l ON l.pid = e.pid AND w.pid IS NOT NULL
WHERE (e.here AND e.backend_type = 'client backend' AND e.state <> 'idle')
   OR w.pid IS NOT NULL
   OR e.pid IN (SELECT unnest(blockers) FROM waits)
