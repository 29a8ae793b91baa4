CREATE INDEX tasks_callback_id ON tasks (callback_id);
