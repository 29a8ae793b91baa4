-- introspect: what a SchemaProfile holds, read from the catalog and from pg_stats (PostgreSQL 14 to 18).
-- Each query takes no parameter, so that psql can run it; {rebuilt} in it stands for the query of
-- that name: tables of user schemas, partitioned ones and partitions too.

-- name: session
-- Texts of values and definitions must not depend on the session; the search path is kept first.
SELECT current_setting('server_version_num')::int AS server_version,
       current_schemas(false)::text[] AS search_path,
       (SELECT datcollate::text FROM pg_database WHERE datname = current_database()) AS collation,
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
       coalesce(t.relpages, 0) AS toast_pages, c.relallvisible AS visible_pages, c.relpersistence = 'u' AS unlogged,
       coalesce(s.n_live_tup, 0) AS live_rows, coalesce(s.n_dead_tup, 0) AS dead_rows,
       coalesce(c.reloptions, '{}') || coalesce((SELECT array_agg('toast.' || o)
                                                 FROM unnest(t.reloptions) AS o), '{}') AS options,
       (SELECT array_agg(i.inhparent::bigint ORDER BY i.inhseqno)
        FROM pg_inherits i WHERE i.inhrelid = c.oid) AS parents,
       coalesce(pg_get_expr(c.relpartbound, c.oid), '') AS bound,
       CASE c.relkind WHEN 'p' THEN pg_get_partkeydef(c.oid) ELSE '' END AS partition_key,
       coalesce((SELECT array_agg(coalesce(a.attname::text, '') ORDER BY u.place)
                 FROM pg_partitioned_table p
                 CROSS JOIN unnest(p.partattrs::int2[]) WITH ORDINALITY AS u (attnum, place)
                 LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.attnum AND u.attnum > 0
                 WHERE p.partrelid = c.oid), '{}') AS partition_columns
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.oid IN ({rebuilt})
ORDER BY c.oid

-- name: rebuilt
-- The tables that the other queries look at.
SELECT c.oid
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'replay')
  AND n.nspname !~ '^pg_(toast|temp)'
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
       CASE WHEN b.is_domain THEN format_type(a.atttypid, a.atttypmod) ELSE '' END AS declared,
       et.typname AS element, et.typtype::text AS element_kind,
       (SELECT array_agg(ARRAY[ft.typname::text, format_type(f.atttypid, f.atttypmod)]
                         ORDER BY f.attnum)
        FROM pg_attribute f JOIN pg_type ft ON ft.oid = f.atttypid
        WHERE f.attrelid = bt.typrelid AND bt.typtype = 'c' AND f.attnum > 0
          AND NOT f.attisdropped) AS fields,
       NOT a.attislocal AS inherited, b.not_null AND NOT a.attnotnull AS domain_not_null, b.is_domain, a.attnotnull OR b.not_null AS not_null,
       (SELECT array_agg(pg_get_constraintdef(k.oid) ORDER BY k.oid)
        FROM pg_constraint k WHERE k.contypid = a.atttypid AND k.contype = 'c') AS domain_checks,
       pg_get_expr(d.adbin, d.adrelid) AS default,
       a.attidentity::text AS identity, a.attgenerated::text AS generated,
       CASE WHEN a.attcollation NOT IN (0, at.typcollation)
            THEN format('%I.%I', cn.nspname, co.collname) ELSE '' END AS collation,
       (SELECT format('START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s',
                      q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache,
                      CASE WHEN q.seqcycle THEN ' CYCLE' ELSE '' END)
        FROM pg_depend i JOIN pg_sequence q ON q.seqrelid = i.objid
        WHERE i.classid = 'pg_class'::regclass AND i.refclassid = 'pg_class'::regclass
          AND i.refobjid = a.attrelid AND i.refobjsubid = a.attnum AND i.deptype = 'i'
          AND (q.seqincrement, q.seqcache, q.seqcycle) <> (1, 1, false)) AS sequence_options,
       (SELECT q.seqincrement FROM pg_depend i JOIN pg_sequence q ON q.seqrelid = i.objid
        WHERE i.classid = 'pg_class'::regclass AND i.refclassid = 'pg_class'::regclass
          AND i.refobjid = a.attrelid AND i.refobjsubid = a.attnum AND i.deptype IN ('a', 'i')
        LIMIT 1) AS increment,
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
        FROM pg_enum e WHERE e.enumtypid IN (b.base, et.oid)) AS enum_labels,
       st.null_frac, st.avg_width, st.n_distinct,
       st.most_common_vals::text::text[] AS common_values,
       st.most_common_freqs AS common_fractions,
       st.histogram_bounds::text::text[] AS histogram, st.correlation
FROM pg_attribute a
JOIN beneath b ON b.type = a.atttypid
JOIN pg_type at ON at.oid = a.atttypid
JOIN pg_type bt ON bt.oid = b.base
LEFT JOIN pg_range br ON bt.oid IN (br.rngtypid, br.rngmultitypid)
LEFT JOIN pg_type et ON et.oid = coalesce(br.rngsubtype, CASE bt.typcategory WHEN 'A' THEN bt.typelem END)
LEFT JOIN pg_collation co ON co.oid = a.attcollation
LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
JOIN pg_namespace bn ON bn.oid = bt.typnamespace
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_stats st ON st.schemaname = n.nspname AND st.tablename = c.relname
                     AND st.attname = a.attname AND st.inherited = (c.relkind = 'p')
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
       CASE WHEN k.contype IN ('p', 'u', 'x') THEN coalesce(pg_relation_size(k.conindid), 0)
            ELSE 0 END AS bytes,
       CASE k.contype WHEN 'f' THEN k.conparentid <> 0 WHEN 'c' THEN NOT k.conislocal
                      ELSE false END AS inherited
FROM pg_constraint k
LEFT JOIN pg_constraint above ON above.oid = k.conparentid
WHERE k.conrelid IN ({rebuilt}) AND k.contype IN ('p', 'u', 'c', 'x', 'f')
  AND (above.oid IS NULL OR above.conrelid <> k.conrelid)
ORDER BY k.conrelid, k.oid

-- name: indexes
-- Indexes that belong to no constraint.
SELECT i.indrelid::bigint AS oid, c.relname AS name, pg_get_indexdef(i.indexrelid) AS definition,
       (SELECT array_agg(coalesce(a.attname::text, '') ORDER BY u.place)
        FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u (attnum, place)
        LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum AND u.attnum > 0
        WHERE u.place <= i.indnkeyatts) AS columns,
       i.indisunique AS is_unique, i.indisvalid AS valid, pg_relation_size(c.oid) AS bytes,
       i.indexrelid::bigint AS "order"
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid IN ({rebuilt})
  AND NOT EXISTS (SELECT FROM pg_constraint k
                  WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
ORDER BY i.indrelid, i.indexrelid

-- name: enums
-- All enum types of user schemas.
SELECT t.oid::bigint, n.nspname AS schema, t.typname AS name,
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
-- Extensions that something of the user's needs, or that the body of a function names.
SELECT DISTINCT n.nspname || '.' || x.extname AS name
FROM pg_extension x
JOIN pg_namespace n ON n.oid = x.extnamespace
JOIN pg_depend member ON member.refclassid = 'pg_extension'::regclass AND member.refobjid = x.oid
                     AND member.deptype = 'e'
WHERE x.extname <> 'plpgsql' AND (EXISTS (
      SELECT FROM pg_depend d
      WHERE d.refclassid = member.classid AND d.refobjid = member.objid AND d.deptype = 'n'
        AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classid AND e.objid = d.objid
                          AND e.deptype = 'e'))
   OR EXISTS (
      SELECT FROM pg_proc f JOIN pg_proc u ON strpos(u.prosrc, f.proname || '(') > 0
      WHERE member.classid = 'pg_proc'::regclass AND f.oid = member.objid
        AND u.oid >= 16384 AND u.pronamespace IN ({own}) AND NOT EXISTS (
            SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = u.oid
              AND e.deptype = 'e')))
ORDER BY 1
