-- settings: what bears on the log and on plans, locks and vacuum, in the form that SHOW gives.
SELECT name, current_setting(name)
FROM pg_catalog.pg_settings
WHERE name LIKE 'log\_%'
   OR name IN ('max_connections', 'shared_buffers', 'work_mem', 'random_page_cost',
               'effective_cache_size', 'deadlock_timeout', 'default_transaction_isolation',
               'autovacuum')
