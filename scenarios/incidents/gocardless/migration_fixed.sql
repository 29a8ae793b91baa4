-- Gives up soon, lets the others pass, and tries again.
DO $$
BEGIN
    SET LOCAL lock_timeout = '50ms';
    FOR attempt IN 1 .. 100 LOOP
        BEGIN
            ALTER TABLE acct ADD COLUMN IF NOT EXISTS frozen_at timestamptz;
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(0.25 + random() / 4);
        END;
    END LOOP;
    RAISE EXCEPTION 'acct was never free';
END $$;
