CREATE INDEX field_thing_id ON field (thing_id);
