-- keys: what its authors thought of. tasks.callback_id and tasks.worker_id are what nobody did.
ALTER TABLE accounts ADD PRIMARY KEY (id), ADD UNIQUE (email);
ALTER TABLE projects ADD PRIMARY KEY (id), ADD UNIQUE (token);
ALTER TABLE project_counters ADD PRIMARY KEY (project_id);
ALTER TABLE codes ADD PRIMARY KEY (id), ADD UNIQUE (project_id, name);
ALTER TABLE schedules ADD PRIMARY KEY (id);
ALTER TABLE tasks ADD PRIMARY KEY (id);
ALTER TABLE task_logs ADD PRIMARY KEY (id);

CREATE INDEX projects_account_id ON projects (account_id);
CREATE INDEX schedules_project_id ON schedules (project_id);
CREATE INDEX schedules_code_id ON schedules (code_id);
CREATE INDEX schedules_next_run_at ON schedules (next_run_at);
CREATE INDEX tasks_project_created ON tasks (project_id, created_at DESC);
CREATE INDEX tasks_code_id ON tasks (code_id);
CREATE INDEX tasks_queue ON tasks (priority DESC, id) WHERE state = 'queued';
CREATE INDEX task_logs_task_id ON task_logs (task_id, at);

ALTER TABLE projects ADD FOREIGN KEY (account_id) REFERENCES accounts (id);
ALTER TABLE project_counters ADD FOREIGN KEY (project_id) REFERENCES projects (id);
ALTER TABLE codes ADD FOREIGN KEY (project_id) REFERENCES projects (id);
ALTER TABLE schedules ADD FOREIGN KEY (project_id) REFERENCES projects (id);
ALTER TABLE schedules ADD FOREIGN KEY (code_id) REFERENCES codes (id);
ALTER TABLE tasks ADD FOREIGN KEY (project_id) REFERENCES projects (id);
ALTER TABLE tasks ADD FOREIGN KEY (code_id) REFERENCES codes (id);
ALTER TABLE task_logs ADD FOREIGN KEY (task_id) REFERENCES tasks (id);

VACUUM ANALYZE;
