-- joint: how the columns of a table go together, and how many children a parent has (PostgreSQL 14 to
-- 18). The answers are statements, which are asked in their turn: one that describes what another one
-- samples. A value leaves only as the number of its place in the column's statistics.

-- name: joint
-- Codes of a value: -1 NULL, -2 no parent, 1 to 60 the most common ones, 100 and up how many of
-- some of the statistics' values are not above it (see data_gen.codes). Of a parent: its children,
-- quantised. At most 2,000 pages and 20,000 rows of a table are read, of every page some rows;
-- children are counted where they have at most five million rows.
WITH beneath AS (
    SELECT t.oid AS type, CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END AS base
    FROM pg_type t
), known AS (
    SELECT a.attrelid, a.attnum, a.attname, s.most_common_vals::text::text[] AS common,
           s.histogram_bounds::text::text[] AS bounds, format_type(b.base, NULL) AS type,
           bt.typname IN ('int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'date', 'timestamp',
                          'timestamptz') AS ordered,
           row_number() OVER (PARTITION BY a.attrelid ORDER BY EXISTS (
               SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND a.attnum = ANY (i.indkey::int2[])
           ) DESC, a.attnum) AS nth
    FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN beneath b ON b.type = a.atttypid
    JOIN pg_type bt ON bt.oid = b.base
    JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
                   AND NOT s.inherited
    WHERE a.attrelid IN ({rebuilt}) AND a.attnum > 0 AND NOT a.attisdropped
      AND a.attgenerated = ''
      AND s.n_distinct <> -1 AND s.n_distinct <> 1 AND s.avg_width <= 64
      AND (bt.typtype = 'e' OR bt.typname IN (
          'int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'bool', 'text', 'varchar', 'bpchar',
          'citext', 'date', 'timestamp', 'timestamptz', 'uuid'))
), edges AS (
    SELECT attrelid, attnum, attname, nth, type,
           CASE WHEN bounds IS NULL OR NOT ordered THEN common[1:60] ELSE common[1:16] END AS own,
           CASE WHEN ordered AND bounds IS NOT NULL THEN (
               SELECT array_agg(bounds[1 + (cardinality(bounds) - 1) * share / 100] ORDER BY share)
               FROM unnest(ARRAY[5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99]) AS share
           ) || coalesce((
               SELECT array_agg(common[at] ORDER BY at)
               FROM generate_series(17, cardinality(common), greatest((cardinality(common) - 5) / 12, 1)) AS at
           ), ARRAY[]::text[]) END AS edges
    FROM known
), coded AS (
    SELECT attrelid, attnum, attname, nth,
           format('CASE WHEN %%1$s.%1$I IS NULL THEN -1 ELSE coalesce(array_position(%2$L::%3$s[], '
                  || '%%1$s.%1$I::%3$s), 100 + width_bucket(%%1$s.%1$I::%3$s, (SELECT array_agg(x ORDER '
                  || 'BY x) FROM unnest(%4$L::%3$s[]) AS x)), 100) END',
                  /* It is a format itself: per cents in names and values are told twice. */
                  replace(attname::text, '%', '%%'), replace(own::text, '%', '%%'), type,
                  replace(edges::text, '%', '%%')) AS code
    FROM edges
), keys AS (
    SELECT k.oid, k.conname, k.conrelid, k.confrelid, c.attname AS child, p.attname AS parent,
           format_type(p.atttypid, NULL) AS type, cc.reltuples AS children,
           format('%I.%I', cn.nspname, cc.relname) AS child_place,
           cn.nspname || '.' || cc.relname AS child_name,
           format('%I.%I', pn.nspname, pc.relname) AS parent_place,
           (SELECT common FROM known w WHERE w.attrelid = k.conrelid AND w.attnum = k.conkey[1]) AS hot,
           row_number() OVER (PARTITION BY k.conrelid ORDER BY k.oid) AS nth,
           row_number() OVER (PARTITION BY k.confrelid ORDER BY k.oid) AS nth_of_parent
    FROM pg_constraint k
    JOIN pg_attribute c ON c.attrelid = k.conrelid AND c.attnum = k.conkey[1]
    JOIN pg_attribute p ON p.attrelid = k.confrelid AND p.attnum = k.confkey[1]
    JOIN pg_class cc ON cc.oid = k.conrelid
    JOIN pg_namespace cn ON cn.oid = cc.relnamespace
    JOIN pg_class pc ON pc.oid = k.confrelid
    JOIN pg_namespace pn ON pn.oid = pc.relnamespace
    WHERE k.contype = 'f' AND cardinality(k.conkey) = 1 AND k.conparentid = 0
      AND k.conrelid IN ({rebuilt}) AND k.confrelid IN ({rebuilt})
      AND has_table_privilege(k.conrelid, 'SELECT') AND has_table_privilege(k.confrelid, 'SELECT')
), parts AS (
    SELECT attrelid AS oid, 1 AS kind, nth::int AS nth, json_build_array('own', attname, '') AS what,
           format(code, 't') AS code, NULL AS source
    FROM coded WHERE nth <= 14
    UNION ALL
    SELECT k.conrelid, 2, (k.nth * 100 + c.nth)::int, json_build_array('parent', c.attname, k.conname),
           format('CASE WHEN t.%I IS NULL THEN -2 ELSE %s END', k.child, format(c.code, 'p' || k.nth)),
           CASE WHEN c.nth = 1 THEN format(' LEFT JOIN %s AS p%s ON p%s.%I = t.%I', k.parent_place,
                                           k.nth, k.nth, k.parent, k.child) END
    FROM keys k JOIN coded c ON c.attrelid = k.confrelid AND c.nth <= 6
    WHERE k.nth <= 4
    UNION ALL
    SELECT confrelid, 3, nth_of_parent::int, json_build_array('children', child_name, conname),
           format('CASE WHEN coalesce(f%1$s.n, 0) <= 16 THEN coalesce(f%1$s.n, 0) '
                  || 'ELSE 16 + round(8 * ln(f%1$s.n / 16.0) / ln(2.0)) END', nth_of_parent),
           format(' LEFT JOIN (SELECT %1$I AS k, count(*) AS n FROM %2$s GROUP BY 1) AS f%3$s '
                  || 'ON f%3$s.k = t.%4$I', child, child_place, nth_of_parent, parent)
    FROM keys WHERE nth_of_parent <= 6 AND children BETWEEN 0 AND 5000000
), roots AS (
    SELECT confrelid AS oid, min(parent) AS parent, min(type) AS type,
           string_agg(format('%L::%s[]', hot::text, type), ' || ' ORDER BY oid)
               FILTER (WHERE hot IS NOT NULL) AS hot
    FROM keys GROUP BY confrelid HAVING count(DISTINCT parent) = 1
), tables AS (
    SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS place, greatest(c.relpages, 1) AS pages,
           c.reltuples AS rows, r.parent, r.type, r.hot,
           json_agg(what ORDER BY kind, p.nth) AS columns,
           string_agg(code, ', ' ORDER BY kind, p.nth) AS codes,
           coalesce(string_agg(source, '' ORDER BY kind, p.nth), '') AS sources
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN parts p ON p.oid = c.oid
    LEFT JOIN roots r ON r.oid = c.oid
    WHERE c.relkind = 'r' AND c.reltuples > 0 AND has_table_privilege(c.oid, 'SELECT')
    GROUP BY c.oid, n.nspname, c.relname, c.relpages, c.reltuples, r.parent, r.type, r.hot
), texts AS (
    SELECT oid, columns, parent, type, hot,
           format('SELECT row_to_json(replay_profile)::text FROM (SELECT %s AS oid, t.replay_key AS key, '
                  || 'least(t.replay_block, 31) AS place, ARRAY[%s]::int[] AS codes FROM (SELECT t.*, '
                  || '(t.ctid::text::point)[0]::bigint * 32 / %s AS replay_block, t.ctid AS replay_row, '
                  || '<key> AS replay_key FROM ONLY %s AS t<rows>) AS t%s ORDER BY t.replay_row'
                  || ') AS replay_profile', oid, codes, pages, place, sources) AS asked,
           format('%s WHERE hashtextextended(t.ctid::text, 0) %% %s = 0',
                  CASE WHEN pages > 2000 THEN format(' TABLESAMPLE SYSTEM (%s) REPEATABLE (0)',
                                                     round(200000.0 / pages, 4)) ELSE '' END,
                  greatest(round(rows * least(2000.0 / pages, 1) / 20000), 1)) AS sampled,
           CASE WHEN parent IS NOT NULL THEN format('t.%I::text', parent) END AS key,
           CASE WHEN parent IS NOT NULL
                THEN format(' WHERE t.%I = ANY (<keys>)', parent) END AS keyed
    FROM tables
)
SELECT format('SELECT %L AS replay_profile', json_build_object(
           'oid', oid, 'columns', columns, 'type', type,
           'keyed', replace(replace(asked, '<key>', key), '<rows>', keyed))) AS description,
       replace(replace(asked, '<key>', 'NULL::text'), '<rows>', sampled) AS sample,
       replace(replace(replace(asked, '<key>', key), '<rows>', keyed), '<keys>', hot) AS hot
FROM texts AS replay_profile ORDER BY oid
