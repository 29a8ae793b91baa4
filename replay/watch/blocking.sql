-- blocking: what the sessions of this database that wait for a lock wait for, and who is in their way.
-- Asked only where one waits: locks are dear where sessions hold many. pg_locks' function stands in a SELECT
-- list, so that its rows are not stored before they are looked at: a sixth less. Of the granted ones only
-- tuple locks are kept, which tell which relation the row is in that a waiter on a transaction id is after.
-- They also tell who stands first in a row's queue; those behind him need not be asked for one by one. A
-- prepared transaction is pid 0 among the blockers.
WITH waits AS MATERIALIZED (
    SELECT pid, coalesce(leader_pid, pid) AS session, wait_event
    FROM pg_stat_activity
    WHERE datname = current_database() AND (wait_event_type = 'Lock' OR wait_event = 'SafeSnapshot')
), locks AS MATERIALIZED (
    SELECT (one).*
    FROM (SELECT pg_lock_status() AS one WHERE (SELECT count(*) > 0 FROM waits) OFFSET 0) AS held
    WHERE NOT (one).granted OR (one).tuple IS NOT NULL
), rows AS (
    SELECT database, relation, page, tuple, array_agg(pid) AS first
    FROM locks WHERE granted AND pid IS NOT NULL
    GROUP BY database, relation, page, tuple
), own AS (
    SELECT pid, max(relation) AS relation, max('(' || page || ',' || tuple || ')') AS key
    FROM locks WHERE granted GROUP BY pid
)
SELECT w.session,
       CASE WHEN r.first IS NOT NULL THEN r.first
            WHEN w.wait_event = 'SafeSnapshot' THEN pg_safe_snapshot_blocking_pids(w.pid)
            ELSE pg_blocking_pids(w.pid) END,
       coalesce(l.locktype, w.wait_event, ''), coalesce(l.mode, ''),
       coalesce(l.relation, o.relation, 0)::int8, coalesce(l.waitstart, statement_timestamp()),
       CASE l.locktype
            WHEN 'tuple' THEN '(' || l.page || ',' || l.tuple || ')'
            WHEN 'advisory' THEN concat_ws(' ', l.classid, l.objid, l.objsubid)
            WHEN 'object' THEN coalesce(l.classid::regclass::text, '') || ' ' || l.objid
            ELSE coalesce(o.key, '')
       END,
       statement_timestamp()
FROM waits w
LEFT JOIN locks l ON l.pid = w.pid AND NOT l.granted
LEFT JOIN rows r ON l.locktype = 'tuple' AND r.database = l.database AND r.relation = l.relation
                AND r.page = l.page AND r.tuple = l.tuple
LEFT JOIN own o ON o.pid = w.pid
