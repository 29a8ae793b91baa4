ALTER TABLE acct ADD COLUMN IF NOT EXISTS frozen_at timestamptz;
