-- fans: how unevenly a foreign key's rows are shared out among its parents (PostgreSQL 14 to 18). The
-- answers are statements, which are asked in their turn.

-- name: fans
-- How many parents have how many children, and the keys of the hundred with most. Up to 64 children
-- are counted exactly, more in 64 steps a doubling. Tables of at most five million rows are counted.
WITH sized AS (
    SELECT c.oid, c.relkind, format('%I.%I', n.nspname, c.relname) AS place,
           CASE c.relkind WHEN 'p' THEN (SELECT sum(greatest(p.reltuples, 0)) FROM pg_partition_tree(c.oid) t
                                         JOIN pg_class p ON p.oid = t.relid)
                          ELSE c.reltuples END AS rows
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid IN ({rebuilt}) AND has_table_privilege(c.oid, 'SELECT')
)
SELECT format('WITH fans AS MATERIALIZED (SELECT t.%1$I::text AS key, count(*) AS n FROM %2$s AS t WHERE '
              || 't.%1$I IS NOT NULL GROUP BY t.%1$I), stepped AS (SELECT key, n, CASE WHEN n <= 64 THEN n '
              || 'ELSE round(64 * 2 ^ (round(64 * ln(n / 64.0) / ln(2.0)) / 64)) END::bigint AS children '
              || 'FROM fans) SELECT row_to_json(replay_profile)::text FROM (SELECT %3$s AS oid, %4$L AS '
              || 'name, coalesce((SELECT json_agg(json_build_array(children, parents) ORDER BY children '
              || 'DESC) FROM (SELECT children, count(*) AS parents FROM stepped GROUP BY 1) AS s), ''[]'') '
              || 'AS sizes, coalesce((SELECT json_agg(json_build_array(key, children) ORDER BY n DESC, key) '
              || 'FROM (SELECT * FROM stepped ORDER BY n DESC, key LIMIT 100) AS h), ''[]'') AS hot) '
              || 'AS replay_profile',
              a.attname, CASE s.relkind WHEN 'p' THEN s.place ELSE 'ONLY ' || s.place END,
              k.conrelid, k.conname) AS replay_profile
FROM pg_constraint k
JOIN sized s ON s.oid = k.conrelid
JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
LEFT JOIN pg_constraint above ON above.oid = k.conparentid
WHERE k.contype = 'f' AND cardinality(k.conkey) = 1 AND s.rows BETWEEN 0 AND 5000000
  AND (above.oid IS NULL OR above.conrelid <> k.conrelid)
ORDER BY k.conrelid, k.oid
