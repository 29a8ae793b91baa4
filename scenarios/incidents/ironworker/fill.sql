-- fill: two years of a busy service: 1.2 million tasks, a few projects own most of them.
SELECT setseed(0.2013);

INSERT INTO accounts (name, email, plan, created_at)
SELECT 'Account ' || md5(i::text), 'owner' || i || '@customer' || i % 700 || '.example',
       (ARRAY['free', 'free', 'free', 'developer', 'developer', 'business'])[1 + i % 6],
       now() - interval '2 years' + i * interval '5 hours'
FROM generate_series(1, 3000) AS i;

INSERT INTO projects (account_id, name, token, created_at)
SELECT 1 + floor(3000 * power(random(), 2)), 'project-' || md5('p' || i), md5('token' || i),
       now() - interval '2 years' + i * interval '2 hours'
FROM generate_series(1, 8000) AS i;

INSERT INTO project_counters (project_id) SELECT id FROM projects;

INSERT INTO codes (project_id, name, runtime, revision)
SELECT 1 + (i - 1) % 8000, 'worker-' || i, (ARRAY['ruby', 'python', 'php', 'node', 'java'])[1 + i % 5],
       1 + floor(30 * power(random(), 3))
FROM generate_series(1, 24000) AS i;

INSERT INTO schedules (project_id, code_id, run_every, next_run_at)
SELECT 1 + (i - 1) % 8000, 1 + (i - 1) % 24000, (1 + i % 48) * interval '30 minutes',
       now() + (random() - 0.2) * interval '1 day'
FROM generate_series(1, 6000) AS i;

INSERT INTO tasks (project_id, code_id, state, priority, payload, callback_id, worker_id,
                   created_at, started_at, finished_at)
SELECT project_id, project_id + 8000 * (i % 3), state::task_state, i % 3,
       '{"url": "https://example.com/' || md5('u' || i) || '", "retry": ' || i % 5 || '}',
       CASE WHEN i % 3 = 0 THEN 'cb-' || md5('c' || i) END,
       CASE WHEN state <> 'queued' THEN 'worker-' || md5((i % 2500)::text) END,
       created_at,
       CASE WHEN state <> 'queued' THEN created_at + interval '3 seconds' END,
       CASE WHEN state IN ('done', 'error') THEN created_at + interval '40 seconds' END
FROM (
    SELECT i, 1 + floor(8000 * power(random(), 4))::bigint AS project_id,
           CASE WHEN i > 1180000 THEN 'queued' WHEN i > 1170000 THEN 'running'
                WHEN i % 25 = 0 THEN 'error' ELSE 'done' END AS state,
           now() - interval '2 years' + i * interval '52.56 seconds' AS created_at
    FROM generate_series(1, 1200000) AS i
) AS history;

INSERT INTO task_logs (task_id, at, line)
SELECT 1 + floor(1200000 * random()), now() - random() * interval '2 years',
       'worker said ' || md5('l' || i)
FROM generate_series(1, 300000) AS i;
