-- identity: which server and which database this is.
SELECT current_setting('server_version') AS server_version,
       current_database() AS database,
       (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier
