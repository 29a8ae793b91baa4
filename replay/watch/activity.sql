-- activity: sessions at this moment, one row each and one table function, nothing else; ten times a second.
-- What is told in words stands in one column, as each costs. Of the replay's own the head of its statement is
-- enough, whose first comment names the template; of others it comes behind a mark. Parallel workers stand
-- for their leader. Times go as the server has them: the last is its own, of which the others are subtracted.
SELECT coalesce(backend_type, '') || E'\x1f' || coalesce(state, '') || E'\x1f' || coalesce(wait_event_type, '')
           || E'\x1f' || coalesce(wait_event, '') || E'\x1f'
           || coalesce(CASE WHEN application_name = 'staging-replay-load' THEN left(query, 27)
                            ELSE E'\x1e' || left(query, 1000) END, ''),
       coalesce(leader_pid, pid), least(xact_start, statement_timestamp()),
       least(query_start, statement_timestamp()),
       coalesce(greatest(age(backend_xmin), age(backend_xid)), -1), statement_timestamp()
FROM pg_stat_activity
WHERE {which} AND pid <> pg_backend_pid()
