-- statements: how much pg_stat_statements counted of this database, since when, and how long it is.
SELECT coalesce(sum(s.calls), 0)::float8
           / greatest(extract(epoch FROM now() - i.stats_reset), 1)::float8 AS calls_per_s,
       coalesce(sum(s.calls * octet_length(s.query)) / nullif(sum(s.calls), 0), 0)::float8
           AS text_bytes,
       count(*) FILTER (WHERE s.queryid IS NULL) AS hidden,
       i.dealloc AS evictions,
       extract(epoch FROM now() - i.stats_reset)::float8 AS counted_for_s
  FROM {extension}.pg_stat_statements_info AS i
  LEFT JOIN {extension}.pg_stat_statements AS s
    ON s.dbid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
 CROSS JOIN (SELECT 1) AS replay_doctor
 GROUP BY i.stats_reset, i.dealloc
