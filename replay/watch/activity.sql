-- activity: sessions at this moment, one row each and one table function, nothing else; ten times a second.
-- The template of the replay's own stands in the first comment of what it runs. Parallel workers stand for
-- their leader. Times go as the server has them: the first is its own, of which the others are subtracted.
SELECT coalesce(leader_pid, pid), coalesce(state, backend_type, ''), coalesce(wait_event_type, ''),
       coalesce(wait_event, ''),
       CASE WHEN starts_with(query, '/*replay:') THEN substr(query, 10, 16) ELSE '' END,
       least(xact_start, statement_timestamp()), least(query_start, statement_timestamp()),
       CASE WHEN application_name = 'staging-replay-load' THEN '' ELSE coalesce(left(query, 1000), '') END,
       coalesce(greatest(age(backend_xmin), age(backend_xid)), -1), statement_timestamp(),
       backend_type = 'client backend' AND state <> 'idle'
FROM pg_stat_activity
WHERE {which} AND pid <> pg_backend_pid()
