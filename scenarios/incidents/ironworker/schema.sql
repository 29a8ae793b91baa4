-- schema: a task queue's API as IronWorker's was: accounts, projects, codes, tasks, schedules, logs.
-- Keys and indexes stand in keys.sql, built after the rows are in.
CREATE TYPE task_state AS ENUM ('queued', 'running', 'done', 'error', 'cancelled');

CREATE TABLE accounts (
    id bigserial,
    name text NOT NULL,
    email text NOT NULL,
    plan text NOT NULL CHECK (plan IN ('free', 'developer', 'business')),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE projects (
    id bigserial,
    account_id bigint NOT NULL,
    name text NOT NULL,
    token text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE project_counters (
    project_id bigint,
    queued bigint NOT NULL DEFAULT 0,
    done bigint NOT NULL DEFAULT 0,
    released bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE codes (
    id bigserial,
    project_id bigint NOT NULL,
    name text NOT NULL,
    runtime text NOT NULL,
    revision integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE schedules (
    id bigserial,
    project_id bigint NOT NULL,
    code_id bigint NOT NULL,
    run_every interval NOT NULL,
    next_run_at timestamptz NOT NULL
);

CREATE TABLE tasks (
    id bigserial,
    project_id bigint NOT NULL,
    code_id bigint NOT NULL,
    state task_state NOT NULL DEFAULT 'queued',
    priority smallint NOT NULL DEFAULT 0,
    payload text NOT NULL,
    callback_id text,
    worker_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz
);

CREATE TABLE task_logs (
    id bigserial,
    task_id bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    line text NOT NULL
);
