-- fans: how unevenly a foreign key's rows are shared out among its parents (PostgreSQL 14 to 18). The
-- answers are statements, which are asked in their turn.

-- name: fans
-- How many parents have how many children, and the keys of the hundred with most. Up to 64 children
-- are counted exactly, more in 64 steps a doubling. Tables of at most five million rows are counted.
-- Of a larger one up to 4,000 parents are drawn, 200,000 children or so between them, and theirs are
-- counted by way of an index; the keys with most are the column's most common values then. Where no
-- index leads there, nothing is counted.
WITH sized AS (
    SELECT c.oid, c.relkind, n.nspname, c.relname, format('%I.%I', n.nspname, c.relname) AS place,
           CASE c.relkind WHEN 'p' THEN (SELECT sum(greatest(p.reltuples, 0)) FROM pg_partition_tree(c.oid) t
                                         JOIN pg_class p ON p.oid = t.relid)
                          ELSE c.reltuples END AS rows
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid IN ({rebuilt}) AND has_table_privilege(c.oid, 'SELECT')
), keys AS (
    SELECT k.oid, k.conrelid, k.conname, s.nspname, s.relname, s.relkind, s.rows, a.attname,
           CASE s.relkind WHEN 'p' THEN s.place ELSE 'ONLY ' || s.place END AS place,
           p.place AS parent, p.rows AS parents, b.attname AS parent_key,
           least(4000, greatest(200, 200000 * p.rows / greatest(s.rows, 1)))::bigint AS drawn,
           EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
                   JOIN pg_am m ON m.oid = x.relam
                   WHERE i.indrelid = k.conrelid AND i.indkey[0] = k.conkey[1] AND i.indisvalid
                     AND i.indpred IS NULL AND m.amname IN ('btree', 'hash')) AS indexed
    FROM pg_constraint k
    JOIN sized s ON s.oid = k.conrelid
    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
    LEFT JOIN sized p ON p.oid = k.confrelid
    LEFT JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = k.confkey[1]
    LEFT JOIN pg_constraint above ON above.oid = k.conparentid
    WHERE k.contype = 'f' AND cardinality(k.conkey) = 1
      AND (above.oid IS NULL OR above.conrelid <> k.conrelid)
), told AS (
    SELECT 'CASE WHEN n <= 64 THEN n ELSE round(64 * 2 ^ (round(64 * ln(n / 64.0) / ln(2.0)) / 64)) END::bigint'
               AS step,
           'SELECT row_to_json(replay_profile)::text FROM (SELECT %1$s AS oid, %2$L AS name, coalesce('
           || '(SELECT json_agg(json_build_array(children, parents) ORDER BY children DESC) FROM (SELECT '
           || 'children, sum(parents)::bigint AS parents FROM sizes GROUP BY 1) AS s WHERE parents > 0), '
           || '''[]'') AS sizes, coalesce((SELECT json_agg(json_build_array(key, children) ORDER BY n DESC, '
           || 'key) FROM (SELECT * FROM hot ORDER BY n DESC, key LIMIT 100) AS h), ''[]'') AS hot) '
           || 'AS replay_profile' AS answer
)
SELECT CASE WHEN k.rows <= 5000000 THEN
           format('WITH fans AS MATERIALIZED (SELECT t.%1$I::text AS key, count(*) AS n FROM %2$s AS t '
                  || 'WHERE t.%1$I IS NOT NULL GROUP BY t.%1$I), hot AS (SELECT key, n, %3$s AS children '
                  || 'FROM fans), sizes AS (SELECT children, count(*) AS parents FROM hot GROUP BY 1) ',
                  k.attname, k.place, t.step)
       ELSE
           format('WITH hot AS MATERIALIZED (SELECT key, n, %6$s AS children FROM (SELECT v.key, '
                  || 'round(v.share * %7$s)::bigint AS n FROM pg_stats s, '
                  || 'unnest(s.most_common_vals::text::text[], s.most_common_freqs) AS v(key, share) '
                  || 'WHERE s.schemaname = %8$L AND s.tablename = %9$L AND s.attname = %1$L '
                  || 'AND s.inherited = %10$L) AS c), '
                  || 'drawn AS MATERIALIZED (SELECT t.%4$I AS key FROM %3$s AS t TABLESAMPLE SYSTEM (%11$s) '
                  || 'REPEATABLE (0) WHERE t.%4$I IS NOT NULL ORDER BY md5(t.%4$I::text) LIMIT %5$s), '
                  || 'fans AS MATERIALIZED (SELECT key::text AS key, (SELECT count(*) FROM (SELECT FROM %2$s '
                  || 'AS t WHERE t.%1$I = drawn.key LIMIT 100000) AS f) AS n FROM drawn), '
                  || 'sizes AS (SELECT children, count(*)::float8 AS parents FROM hot GROUP BY 1 UNION ALL '
                  || 'SELECT %6$s, count(*) * (SELECT %12$s::float8 / greatest(count(*), 1) FROM drawn) FROM fans '
                  || 'WHERE n > 0 AND key NOT IN (SELECT key FROM hot) GROUP BY 1) ',
                  k.attname, k.place, k.parent, k.parent_key, k.drawn, t.step, k.rows::bigint, k.nspname,
                  k.relname, k.relkind = 'p',
                  least(100, 1000.0 * k.drawn / greatest(k.parents, 1))::numeric(8, 5),
                  greatest(k.parents, 1)::bigint)
       END || format(t.answer, k.conrelid, k.conname) AS replay_profile
FROM keys k, told t
WHERE k.rows BETWEEN 0 AND 5000000 OR (k.rows > 5000000 AND k.indexed AND k.parents > 0)
ORDER BY k.conrelid, k.oid
