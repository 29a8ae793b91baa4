-- introspect: what a SchemaProfile holds, read from the catalog and from pg_stats (PostgreSQL 14 to 18).
-- Each query takes no parameter, so that psql can run it; {rebuilt} in it stands for the query of
-- that name: ordinary tables of user schemas, no partition, no inheritance.

-- name: session
-- Texts of values and definitions must not depend on the session; the search path is kept first.
SELECT current_setting('server_version_num')::int AS server_version,
       current_schemas(false)::text[] AS search_path,
       (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS taken_at_us,
       set_config('search_path', 'pg_catalog', true),
       set_config('datestyle', 'ISO, YMD', true),
       set_config('intervalstyle', 'postgres', true),
       set_config('timezone', 'UTC', true),
       set_config('bytea_output', 'hex', true),
       set_config('extra_float_digits', '1', true)

-- name: tables
-- Size and storage; live and dead rows from the statistics collector where it has seen the table.
SELECT c.oid::bigint, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
       c.relispartition AS is_partition, c.reltuples::float8 AS reltuples, c.relpages AS pages,
       coalesce(s.n_live_tup, 0) AS live_rows, coalesce(s.n_dead_tup, 0) AS dead_rows,
       coalesce(c.reloptions, '{}') AS options,
       EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent)) AS inherits,
       EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal) AS triggers,
       EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN') AS rules,
       c.relrowsecurity AS row_security
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'replay')
  AND n.nspname !~ '^pg_(toast|temp)' AND c.relpersistence <> 't'
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.oid

-- name: rebuilt
-- The tables that the other queries look at.
SELECT c.oid
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'replay')
  AND n.nspname !~ '^pg_(toast|temp)'
  AND NOT EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent))
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')

-- name: columns
-- Columns with their statistics. Domains are resolved to the type beneath them.
WITH RECURSIVE beneath AS (
    SELECT t.oid AS type, t.oid AS base, NULL::int AS typmod, false AS is_domain, false AS not_null
    FROM pg_type t WHERE t.typtype <> 'd'
    UNION ALL
    SELECT t.oid, coalesce(b.base, t.typbasetype), coalesce(b.typmod, t.typtypmod), true,
           t.typnotnull OR coalesce(b.not_null, false)
    FROM pg_type t JOIN beneath b ON b.type = t.typbasetype WHERE t.typtype = 'd'
)
SELECT a.attrelid::bigint AS oid, a.attname AS name,
       format_type(b.base, CASE WHEN b.is_domain THEN b.typmod ELSE a.atttypmod END) AS type,
       bt.typname AS base_type, bn.nspname AS type_schema, bt.typtype::text AS type_kind,
       b.is_domain, a.attnotnull OR b.not_null AS not_null,
       pg_get_expr(d.adbin, d.adrelid) AS default,
       EXISTS (SELECT FROM pg_depend f JOIN pg_proc p ON f.refobjid = p.oid
               WHERE f.classid = 'pg_attrdef'::regclass AND f.objid = d.oid
                 AND f.refclassid = 'pg_proc'::regclass AND NOT EXISTS (
                     SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass
                       AND e.objid = p.oid AND e.deptype = 'e')) AS default_calls_user_code,
       a.attidentity::text AS identity, a.attgenerated::text AS generated,
       a.attcollation <> bt.typcollation AS is_collated,
       (SELECT sn.nspname || '.' || s.relname
        FROM pg_depend q JOIN pg_class s ON s.oid = q.objid AND s.relkind = 'S'
        JOIN pg_namespace sn ON sn.oid = s.relnamespace
        WHERE q.classid = 'pg_class'::regclass AND q.refclassid = 'pg_class'::regclass
          AND q.refobjid = a.attrelid AND q.refobjsubid = a.attnum AND q.deptype IN ('a', 'i')
        LIMIT 1) AS owned_sequence,
       (SELECT sn.nspname || '.' || s.relname
        FROM pg_depend q JOIN pg_class s ON s.oid = q.refobjid AND s.relkind = 'S'
        JOIN pg_namespace sn ON sn.oid = s.relnamespace
        WHERE q.classid = 'pg_attrdef'::regclass AND q.objid = d.oid
          AND q.refclassid = 'pg_class'::regclass
        LIMIT 1) AS default_sequence,
       (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
        FROM pg_enum e WHERE e.enumtypid = b.base) AS enum_labels,
       st.null_frac, st.avg_width, st.n_distinct,
       st.most_common_vals::text::text[] AS common_values,
       st.most_common_freqs AS common_fractions,
       st.histogram_bounds::text::text[] AS histogram, st.correlation
FROM pg_attribute a
JOIN beneath b ON b.type = a.atttypid
JOIN pg_type bt ON bt.oid = b.base
JOIN pg_namespace bn ON bn.oid = bt.typnamespace
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_stats st ON st.schemaname = n.nspname AND st.tablename = c.relname
                     AND st.attname = a.attname AND NOT st.inherited
WHERE a.attrelid IN ({rebuilt}) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum

-- name: constraints
-- Keys, checks, exclusions and foreign keys; `order` is the OID of the index behind a key.
SELECT k.conrelid::bigint AS oid, k.conname AS name, k.contype::text AS kind,
       pg_get_constraintdef(k.oid) AS definition, k.conindid::bigint AS "order",
       coalesce((SELECT array_agg(a.attname::text ORDER BY u.place)
                 FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, place)
                 JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum),
                '{}') AS columns,
       k.confrelid::bigint AS parent,
       coalesce((SELECT array_agg(a.attname::text ORDER BY u.place)
                 FROM unnest(k.confkey) WITH ORDINALITY AS u (attnum, place)
                 JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum),
                '{}') AS parent_columns,
       EXISTS (SELECT FROM pg_depend f JOIN pg_proc p ON f.refobjid = p.oid
               WHERE f.classid = 'pg_constraint'::regclass AND f.objid = k.oid
                 AND f.refclassid = 'pg_proc'::regclass AND NOT EXISTS (
                     SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass
                       AND e.objid = p.oid AND e.deptype = 'e')) AS calls_user_code
FROM pg_constraint k
WHERE k.conrelid IN ({rebuilt}) AND k.contype IN ('p', 'u', 'c', 'x', 'f') AND k.conparentid = 0
ORDER BY k.conrelid, k.oid

-- name: indexes
-- Indexes that belong to no constraint.
SELECT i.indrelid::bigint AS oid, c.relname AS name, pg_get_indexdef(i.indexrelid) AS definition,
       (SELECT array_agg(coalesce(a.attname::text, '') ORDER BY u.place)
        FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u (attnum, place)
        LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum AND u.attnum > 0
        WHERE u.place <= i.indnkeyatts) AS columns,
       i.indisunique AS is_unique, i.indisvalid AS valid, pg_relation_size(c.oid) AS bytes,
       i.indexrelid::bigint AS "order",
       EXISTS (SELECT FROM pg_depend f JOIN pg_proc p ON f.refobjid = p.oid
               WHERE f.classid = 'pg_class'::regclass AND f.objid = i.indexrelid
                 AND f.refclassid = 'pg_proc'::regclass AND NOT EXISTS (
                     SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass
                       AND e.objid = p.oid AND e.deptype = 'e')) AS calls_user_code
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid IN ({rebuilt})
  AND NOT EXISTS (SELECT FROM pg_constraint k
                  WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
ORDER BY i.indrelid, i.indexrelid

-- name: enums
-- All enum types of user schemas.
SELECT n.nspname AS schema, t.typname AS name,
       array_agg(e.enumlabel::text ORDER BY e.enumsortorder) AS labels
FROM pg_type t
JOIN pg_namespace n ON n.oid = t.typnamespace
JOIN pg_enum e ON e.enumtypid = t.oid
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'replay')
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
GROUP BY t.oid, n.nspname, t.typname
ORDER BY t.oid

-- name: extensions
-- Extensions that the tables themselves need: a type, an operator class, a function of a default.
SELECT DISTINCT n.nspname || '.' || x.extname AS name
FROM pg_depend member
JOIN pg_extension x ON member.refclassid = 'pg_extension'::regclass AND member.refobjid = x.oid
JOIN pg_namespace n ON n.oid = x.extnamespace
JOIN pg_depend d ON d.refclassid = member.classid AND d.refobjid = member.objid
LEFT JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid
LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
LEFT JOIN pg_index i ON d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid
WHERE member.deptype = 'e'
  AND coalesce(f.adrelid, k.conrelid, i.indrelid,
               CASE WHEN d.classid = 'pg_class'::regclass THEN d.objid END) IN ({rebuilt})
ORDER BY 1

-- name: others
-- What belongs to user schemas and is not looked at any further.
SELECT n.nspname || ': has functions, which are not rebuilt: ' || count(*) AS reason
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'replay')
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
GROUP BY n.nspname
UNION ALL
SELECT n.nspname || '.' || s.stxname || ': extended statistics are not rebuilt'
FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
ORDER BY 1
