-- mark_staging: the marker that makes a database a target, and the note that generate leaves.
CREATE SCHEMA IF NOT EXISTS replay;
DROP TABLE IF EXISTS replay.marker;
CREATE TABLE replay.marker (
    system_identifier text NOT NULL,
    database text NOT NULL,
    marked_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS replay.generated (
    workload_id text NOT NULL,
    seed bigint NOT NULL,
    scale double precision NOT NULL,
    base_time timestamptz NOT NULL
);
