-- objects: what stands in user schemas beside tables, as statements that make it, and what it needs
-- (PostgreSQL 14 to 18). {own} in a query stands for the query of that name. Columns that not every
-- version has are read out of to_jsonb(row).

-- name: own
-- Schemas that are the user's: neither the system's, nor replay's, nor an extension's.
SELECT n.oid
FROM pg_namespace n
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'replay')
  AND n.nspname !~ '^pg_(toast|temp)'
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')

-- name: types
-- Composite types, domains and ranges; a type in C has a reason instead of a definition.
SELECT t.oid::bigint, CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END AS kind,
       format('%I.%I', n.nspname, t.typname) AS name,
       CASE t.typtype
       WHEN 'c' THEN format('CREATE TYPE %I.%I AS (%s)', n.nspname, t.typname, (
           SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
                             || CASE WHEN a.attcollation NOT IN (0, at.typcollation)
                                     THEN format(' COLLATE %I.%I', cn.nspname, co.collname)
                                     ELSE '' END, ', ' ORDER BY a.attnum)
           FROM pg_attribute a
           JOIN pg_type at ON at.oid = a.atttypid
           LEFT JOIN pg_collation co ON co.oid = a.attcollation
           LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
           WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
       WHEN 'd' THEN format('CREATE DOMAIN %I.%I AS %s', n.nspname, t.typname,
                            format_type(t.typbasetype, t.typtypmod))
           || coalesce((SELECT format(' COLLATE %I.%I', cn.nspname, co.collname)
                        FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace
                        JOIN pg_type bt ON bt.oid = t.typbasetype
                        WHERE co.oid = t.typcollation AND t.typcollation <> bt.typcollation), '')
           || coalesce(' DEFAULT ' || t.typdefault, '')
           || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END
           || coalesce((SELECT string_agg(format(' CONSTRAINT %I %s', k.conname,
                               regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '')),
                               '' ORDER BY k.conname)
                        FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'), '')
       WHEN 'r' THEN (
           SELECT format('CREATE TYPE %I.%I AS RANGE (SUBTYPE = %s', n.nspname, t.typname,
                         format_type(r.rngsubtype, NULL))
               || format(', SUBTYPE_OPCLASS = %I.%I', opn.nspname, op.opcname)
               || CASE WHEN co.oid IS NOT NULL
                       THEN format(', COLLATION = %I.%I', cn.nspname, co.collname) ELSE '' END
               || CASE WHEN r.rngsubdiff <> 0 THEN ', SUBTYPE_DIFF = ' || r.rngsubdiff::text
                       ELSE '' END
               || format(', MULTIRANGE_TYPE_NAME = %I.%I', mn.nspname, m.typname) || ')'
           FROM pg_range r
           JOIN pg_opclass op ON op.oid = r.rngsubopc
           JOIN pg_namespace opn ON opn.oid = op.opcnamespace
           JOIN pg_type m ON m.oid = r.rngmultitypid
           JOIN pg_namespace mn ON mn.oid = m.typnamespace
           LEFT JOIN pg_collation co ON co.oid = r.rngcollation
           LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
           WHERE r.rngtypid = t.oid AND r.rngcanonical::oid = 0)
       END AS definition,
       CASE t.typtype WHEN 'b' THEN 'a base type is made of C functions'
                      WHEN 'r' THEN (SELECT 'its canonical function is made of C'
                                     FROM pg_range r
                                     WHERE r.rngtypid = t.oid AND r.rngcanonical::oid <> 0)
       END AS reason
FROM pg_type t
JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.oid IN ({own}) AND t.typtype IN ('b', 'c', 'd', 'r')
  AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
  AND (t.typrelid = 0
       OR EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
ORDER BY t.oid

-- name: functions
-- Functions, procedures and aggregates. A body may name what the catalog does not know of.
SELECT p.oid::bigint, CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate'
                                     ELSE 'function' END AS kind,
       format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name,
       CASE WHEN p.prokind <> 'a' AND l.lanpltrusted THEN pg_get_functiondef(p.oid)
            WHEN g.aggkind = 'n' THEN
           format('CREATE AGGREGATE %I.%I (%s) (SFUNC = %s, STYPE = %s', n.nspname, p.proname,
                  CASE p.pronargs WHEN 0 THEN '*' ELSE pg_get_function_arguments(p.oid) END,
                  g.aggtransfn::text, format_type(g.aggtranstype, NULL))
           || CASE WHEN g.aggfinalfn <> 0 THEN ', FINALFUNC = ' || g.aggfinalfn::text ELSE '' END
           || CASE WHEN g.aggfinalextra THEN ', FINALFUNC_EXTRA' ELSE '' END
           || CASE WHEN g.aggcombinefn <> 0 THEN ', COMBINEFUNC = ' || g.aggcombinefn::text
                   ELSE '' END
           || coalesce(', INITCOND = ' || quote_literal(g.agginitval), '')
           || CASE p.proparallel WHEN 's' THEN ', PARALLEL = safe' ELSE '' END || ')'
       END AS definition,
       CASE WHEN p.prokind = 'a' AND g.aggkind <> 'n' THEN 'an ordered-set aggregate'
            WHEN p.prokind <> 'a' AND l.lanname IN ('c', 'internal') THEN 'it is made of C'
            WHEN p.prokind <> 'a' AND NOT l.lanpltrusted THEN 'its language ' || l.lanname || ' is not a trusted one'
       END AS reason,
       n.nspname AS schema, p.proname AS called, coalesce(p.prosrc, '') AS body
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_language l ON l.oid = p.prolang
LEFT JOIN pg_aggregate g ON g.aggfnoid = p.oid
WHERE n.oid IN ({own})
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                    AND d.deptype IN ('e', 'i'))
ORDER BY p.oid

-- name: sequences
-- Sequences but those of identity columns; `last` is told of those that no column's default uses.
SELECT c.oid::bigint, 'sequence' AS kind, format('%I.%I', n.nspname, c.relname) AS name,
       n.nspname || '.' || c.relname AS plain,
       format('CREATE SEQUENCE %I.%I AS %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s'
              || ' CACHE %s%s', n.nspname, c.relname, format_type(s.seqtypid, NULL), s.seqincrement,
              s.seqmin, s.seqmax, s.seqstart, s.seqcache,
              CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END) AS definition,
       NULL::text AS reason,
       CASE WHEN has_sequence_privilege(c.oid, 'SELECT, USAGE') AND c.relpersistence = 'p'
                 AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_class'::regclass
                                   AND d.refobjid = c.oid AND d.classid = 'pg_attrdef'::regclass)
            THEN pg_sequence_last_value(c.oid)::text END AS last
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_sequence s ON s.seqrelid = c.oid
WHERE n.oid IN ({own})
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                    AND d.deptype IN ('e', 'i'))
ORDER BY c.oid

-- name: views
-- Views and materialised views; `filled` says whether one is to be refreshed.
SELECT c.oid::bigint, CASE c.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END AS kind,
       format('%I.%I', n.nspname, c.relname) AS name,
       format('CREATE %s %I.%I%s AS %s%s',
              CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'MATERIALIZED VIEW' END,
              n.nspname, c.relname,
              coalesce(' WITH (' || array_to_string(c.reloptions, ', ') || ')', ''),
              rtrim(pg_get_viewdef(c.oid), ';'),
              CASE c.relkind WHEN 'm' THEN E'\n  WITH NO DATA' ELSE '' END) AS definition,
       NULL::text AS reason, c.relkind = 'm' AND c.relispopulated AS filled
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.oid IN ({own}) AND c.relkind IN ('v', 'm')
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.oid

-- name: searching
-- Collations, dictionaries and configurations of text search.
SELECT 'pg_collation' AS class, c.oid::bigint, 'collation' AS kind,
       format('%I.%I', n.nspname, c.collname) AS name,
       format('CREATE COLLATION %I.%I (PROVIDER = %s, ', n.nspname, c.collname,
              CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END)
       || CASE WHEN c.collprovider = 'c'
               THEN format('LC_COLLATE = %L, LC_CTYPE = %L', c.collcollate, c.collctype)
               ELSE format('LOCALE = %L', coalesce(to_jsonb(c)->>'colllocale',
                           to_jsonb(c)->>'colliculocale', c.collcollate)) END
       || CASE WHEN c.collisdeterministic THEN '' ELSE ', DETERMINISTIC = false' END
       || coalesce(', RULES = ' || quote_literal(to_jsonb(c)->>'collicurules'), '')
       || ')' AS definition, NULL::text AS reason
FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
WHERE n.oid IN ({own})
UNION ALL
SELECT 'pg_ts_dict', d.oid::bigint, 'text search dictionary',
       format('%I.%I', n.nspname, d.dictname),
       format('CREATE TEXT SEARCH DICTIONARY %I.%I (TEMPLATE = %I.%I%s)', n.nspname, d.dictname,
              tn.nspname, t.tmplname, coalesce(', ' || d.dictinitoption, '')), NULL
FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace
JOIN pg_ts_template t ON t.oid = d.dicttemplate JOIN pg_namespace tn ON tn.oid = t.tmplnamespace
WHERE n.oid IN ({own})
  AND NOT EXISTS (SELECT FROM pg_depend e
                  WHERE e.classid = 'pg_ts_dict'::regclass AND e.objid = d.oid AND e.deptype = 'e')
UNION ALL
SELECT 'pg_ts_config', f.oid::bigint, 'text search configuration',
       format('%I.%I', n.nspname, f.cfgname),
       format('CREATE TEXT SEARCH CONFIGURATION %I.%I (PARSER = %I.%I)', n.nspname, f.cfgname,
              pn.nspname, p.prsname)
       || coalesce((SELECT string_agg(format('; ALTER TEXT SEARCH CONFIGURATION %I.%I ADD MAPPING'
                           || ' FOR %s WITH %s', n.nspname, f.cfgname, m.alias, m.dicts), ''
                           ORDER BY m.alias)
                    FROM (SELECT k.alias, string_agg(format('%I.%I', dn.nspname, d.dictname), ', '
                                                     ORDER BY m.mapseqno) AS dicts
                          FROM pg_ts_config_map m
                          JOIN ts_token_type(f.cfgparser) k ON k.tokid = m.maptokentype
                          JOIN pg_ts_dict d ON d.oid = m.mapdict
                          JOIN pg_namespace dn ON dn.oid = d.dictnamespace
                          WHERE m.mapcfg = f.oid GROUP BY k.alias) AS m), ''), NULL
FROM pg_ts_config f JOIN pg_namespace n ON n.oid = f.cfgnamespace
JOIN pg_ts_parser p ON p.oid = f.cfgparser JOIN pg_namespace pn ON pn.oid = p.prsnamespace
WHERE n.oid IN ({own})
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_ts_config'::regclass
                    AND e.objid = f.oid AND e.deptype = 'e')
ORDER BY 2

-- name: settings_of_columns
-- Storage, compression, statistics targets and options of columns that differ from their type's.
SELECT 'setting' AS kind, format('%I.%I.%I', n.nspname, c.relname, a.attname) AS name,
       format('ALTER TABLE %I.%I ALTER COLUMN %I SET ', n.nspname, c.relname, a.attname)
       || s.setting AS definition, n.nspname || '.' || c.relname AS "table"
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
CROSS JOIN LATERAL (
    SELECT 'STATISTICS ' || (to_jsonb(a)->>'attstattarget') AS setting
    WHERE coalesce(to_jsonb(a)->>'attstattarget', '-1') <> '-1'
    UNION ALL
    SELECT 'STORAGE ' || CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL'
                                           WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END
    WHERE a.attstorage <> t.typstorage
    UNION ALL
    SELECT 'COMPRESSION ' || CASE a.attcompression WHEN 'l' THEN 'lz4' ELSE 'pglz' END
    WHERE a.attcompression <> ''
    UNION ALL
    SELECT '(' || string_agg(o, ', ') || ')' FROM unnest(a.attoptions) AS o
    WHERE o LIKE 'n\_distinct%' HAVING count(*) > 0
) AS s
WHERE a.attrelid IN ({rebuilt}) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.oid, a.attnum, s.setting

-- name: attached
-- What stands on tables and views once the rows are in: indexes of materialised views, statistics,
-- rules, triggers, policies; each with what switches it to production's state.
SELECT 1 AS place, i.indexrelid::bigint AS oid, 'index' AS kind,
       format('%I.%I', n.nspname, c.relname) AS name, pg_get_indexdef(i.indexrelid) AS definition,
       i.indrelid::bigint AS "on"
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class m ON m.oid = i.indrelid AND m.relkind = 'm'
WHERE n.oid IN ({own}) AND i.indisvalid
UNION ALL
SELECT 0, s.oid::bigint, 'statistics', format('%I.%I', n.nspname, s.stxname),
       pg_get_statisticsobjdef(s.oid) || CASE
           WHEN coalesce(to_jsonb(s)->>'stxstattarget', '-1') <> '-1'
           THEN format('; ALTER STATISTICS %I.%I SET STATISTICS %s', n.nspname, s.stxname,
                       to_jsonb(s)->>'stxstattarget') ELSE '' END, s.stxrelid::bigint
FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
WHERE n.oid IN ({own})
UNION ALL
SELECT 2, r.oid::bigint, 'rule', format('%I on %I.%I', r.rulename, n.nspname, c.relname),
       rtrim(pg_get_ruledef(r.oid), ';') || CASE WHEN r.ev_enabled <> 'O' THEN
           format('; ALTER TABLE %I.%I %s RULE %I', n.nspname, c.relname, CASE r.ev_enabled
                  WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END,
                  r.rulename) ELSE '' END, c.oid::bigint
FROM pg_rewrite r
JOIN pg_class c ON c.oid = r.ev_class
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.oid IN ({own}) AND r.rulename <> '_RETURN'
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
UNION ALL
SELECT 3, t.oid::bigint, 'trigger', format('%I on %I.%I', t.tgname, n.nspname, c.relname),
       pg_get_triggerdef(t.oid) || CASE WHEN t.tgenabled <> 'O' THEN
           format('; ALTER TABLE %I.%I %s TRIGGER %I', n.nspname, c.relname, CASE t.tgenabled
                  WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END,
                  t.tgname) ELSE '' END, c.oid::bigint
FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.oid IN ({own}) AND NOT t.tgisinternal AND t.tgparentid = 0
UNION ALL
SELECT 4, p.oid::bigint, 'policy', format('%I on %I.%I', p.polname, n.nspname, c.relname),
       format('CREATE POLICY %I ON %I.%I AS %s FOR %s TO %s', p.polname, n.nspname, c.relname,
              CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
              CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                            WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
              (SELECT string_agg(coalesce(quote_ident(r.rolname), 'PUBLIC'), ', ' ORDER BY r.rolname)
               FROM unnest(p.polroles) AS u (role) LEFT JOIN pg_roles r ON r.oid = u.role))
       || coalesce(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', '')
       || coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', ''),
       c.oid::bigint
FROM pg_policy p
JOIN pg_class c ON c.oid = p.polrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.oid IN ({own})
UNION ALL
SELECT 5, c.oid::bigint, 'row security', format('%I.%I', n.nspname, c.relname),
       format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', n.nspname, c.relname)
       || CASE WHEN c.relforcerowsecurity
               THEN format('; ALTER TABLE %I.%I FORCE ROW LEVEL SECURITY', n.nspname, c.relname)
               ELSE '' END, c.oid::bigint
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.oid IN ({own}) AND c.relrowsecurity AND c.relkind IN ('r', 'p')
ORDER BY 1, 2

-- name: roles
-- Roles that policies name, without a password and without a login.
SELECT DISTINCT r.rolname AS name
FROM pg_policy p JOIN pg_roles r ON r.oid = ANY (p.polroles)
ORDER BY 1

-- name: schemas
-- Schemas of the user, empty ones too.
SELECT n.nspname AS name FROM pg_namespace n WHERE n.oid IN ({own}) ORDER BY n.nspname

-- name: needs
-- Which object must stand before which, each by class and OID: tables, views, sequences and types
-- by their own row, defaults and rules by their relation's, arrays by their element's.
WITH whose (class, id, owner_class, owner) AS (
    SELECT 'pg_rewrite'::regclass::oid, r.oid, 'pg_class'::regclass::oid, r.ev_class
    FROM pg_rewrite r WHERE r.rulename = '_RETURN'
    UNION ALL
    SELECT 'pg_attrdef'::regclass, f.oid, 'pg_class'::regclass, f.adrelid FROM pg_attrdef f
    UNION ALL
    SELECT 'pg_constraint'::regclass, k.oid, 'pg_type'::regclass, k.contypid
    FROM pg_constraint k WHERE k.contypid <> 0
    UNION ALL
    SELECT 'pg_class'::regclass, c.oid, 'pg_type'::regclass, c.reltype
    FROM pg_class c WHERE c.relkind = 'c'
    UNION ALL
    SELECT 'pg_type'::regclass, t.oid, 'pg_class'::regclass, t.typrelid
    FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid AND c.relkind <> 'c'
    UNION ALL
    SELECT 'pg_type'::regclass, e.typarray,
           CASE WHEN c.relkind <> 'c' THEN 'pg_class'::regclass ELSE 'pg_type'::regclass END,
           CASE WHEN c.relkind <> 'c' THEN c.oid ELSE e.oid END
    FROM pg_type e LEFT JOIN pg_class c ON c.oid = e.typrelid WHERE e.typarray <> 0
    UNION ALL
    SELECT 'pg_type'::regclass, r.rngmultitypid, 'pg_type'::regclass, r.rngtypid FROM pg_range r
)
SELECT DISTINCT coalesce(a.owner_class, d.classid)::regclass::text AS class,
       coalesce(a.owner, d.objid)::bigint AS oid,
       coalesce(b.owner_class, d.refclassid)::regclass::text AS needed_class,
       coalesce(b.owner, d.refobjid)::bigint AS needed
FROM pg_depend d
LEFT JOIN whose a ON a.class = d.classid AND a.id = d.objid
LEFT JOIN whose b ON b.class = d.refclassid AND b.id = d.refobjid
WHERE d.deptype IN ('n', 'a') AND d.objid >= 16384 AND d.refobjid >= 16384
  AND d.refclassid <> 'pg_namespace'::regclass
  AND NOT (d.classid = 'pg_constraint'::regclass AND a.owner IS NULL)
  AND NOT (d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
           AND EXISTS (SELECT FROM pg_class s WHERE s.oid = d.objid AND s.relkind IN ('S', 'i', 'I')))
UNION
SELECT 'pg_class', i.inhrelid::bigint, 'pg_class', i.inhparent::bigint FROM pg_inherits i
ORDER BY 1, 2, 3, 4

-- name: beyond
-- What is not made, each with its reason.
SELECT 'event trigger ' || quote_ident(e.evtname) AS name,
       'it would run on every statement of the build' AS reason
FROM pg_event_trigger e
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_event_trigger'::regclass
                    AND d.objid = e.oid AND d.deptype = 'e')
UNION ALL
SELECT 'publication ' || quote_ident(p.pubname), 'staging feeds nobody' FROM pg_publication p
UNION ALL
SELECT 'foreign server ' || quote_ident(s.srvname), 'it leads to another server'
FROM pg_foreign_server s
UNION ALL
SELECT format('operator %I.%s', n.nspname, o.oprname), 'operators are not made'
FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
WHERE n.oid IN ({own}) AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = 'pg_operator'::regclass AND d.objid = o.oid AND d.deptype = 'e')
UNION ALL
SELECT format('operator class %I.%I', n.nspname, o.opcname), 'operator classes are not made'
FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace
WHERE n.oid IN ({own}) AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = 'pg_opclass'::regclass AND d.objid = o.oid AND d.deptype = 'e')
UNION ALL
SELECT format('cast from %s to %s', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)),
       'casts are not made'
FROM pg_cast c
WHERE c.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = 'pg_cast'::regclass AND d.objid = c.oid AND d.deptype IN ('e', 'i'))
ORDER BY 1
