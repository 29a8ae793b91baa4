"""The templates of a task queue's API and what it sends in twenty seconds: data for made runs."""

WINDOW_S = 20.0
RELEASE = "5e1ea5e000000001"
CALLBACK = "ca11bac000000002"
RELEASE_COUNTER = "5e1ea5e000000003"
COUNTED_ONLY = "c0017ed000000004"
UPDATE_COUNTER = "c0017e5000000005"

# id, kind, SQL, tables, calls in 20 s, milliseconds a call
TEMPLATES = (
    ("a07e000000000001", "select", "SELECT p.id, a.plan FROM projects p JOIN accounts a ON a.id = p.account_id WHERE p.token = $1", ("projects", "accounts"), 812, 0.4),
    ("57a7000000000002", "select", "SELECT id, state, priority, created_at, started_at, finished_at FROM tasks WHERE id = $1", ("tasks",), 806, 0.3),
    ("c0de000000000003", "select", "SELECT id FROM codes WHERE project_id = $1 ORDER BY name LIMIT ?", ("codes",), 377, 0.3),
    ("e1ec000000000004", "insert", "INSERT INTO tasks (project_id, code_id, priority, payload, callback_id) VALUES ($1, $2, $3, $4, $5) RETURNING id", ("tasks",), 377, 0.6),
    (UPDATE_COUNTER, "update", "UPDATE project_counters SET queued = queued + ? WHERE project_id = $1", ("project_counters",), 377, 0.4),
    ("5e5e000000000006", "update", "UPDATE tasks SET state = ?, started_at = now(), worker_id = $1 WHERE id = (SELECT id FROM tasks WHERE state = ? ORDER BY priority DESC, id LIMIT ? FOR UPDATE SKIP LOCKED) RETURNING id, project_id", ("tasks",), 371, 1.1),
    ("1157000000000007", "select", "SELECT t.id, t.state, t.created_at, c.name FROM tasks t JOIN codes c ON c.id = t.code_id WHERE t.project_id = $1 ORDER BY t.created_at DESC LIMIT ?", ("tasks", "codes"), 322, 1.9),
    ("10c5000000000008", "select", "SELECT at, line FROM task_logs WHERE task_id = $1 ORDER BY at LIMIT ?", ("task_logs",), 214, 0.3),
    (CALLBACK, "select", "SELECT id, state, finished_at FROM tasks WHERE callback_id = $1", ("tasks",), 4, 96.0),
    (RELEASE, "update", "UPDATE tasks SET state = ?, started_at = NULL, worker_id = NULL WHERE worker_id = $1 AND state = ?", ("tasks",), 4, 118.0),
    (RELEASE_COUNTER, "update", "UPDATE project_counters SET released = released + ? WHERE project_id = $1", ("project_counters",), 4, 0.5),
    (COUNTED_ONLY, "delete", "DELETE FROM task_logs WHERE at < now() - interval ?", ("task_logs",), 1, 220.0),
)  # fmt: skip
RARE = {CALLBACK, RELEASE, RELEASE_COUNTER, COUNTED_ONLY}
UNITS = (  # templates of a transaction, calls in 20 s
    (("a07e000000000001",), 812),
    (("57a7000000000002",), 806),
    (("c0de000000000003", "e1ec000000000004", UPDATE_COUNTER), 377),
    (("5e5e000000000006",), 371),
    (("1157000000000007",), 322),
    (("10c5000000000008",), 214),
    ((CALLBACK,), 4),
    ((RELEASE_COUNTER, RELEASE), 4),
)
MEAN_MS = {row[0]: row[5] for row in TEMPLATES}
