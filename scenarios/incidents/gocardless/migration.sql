ALTER TABLE acct ADD COLUMN frozen_at timestamptz;
