CREATE INDEX CONCURRENTLY payment_note ON payment (note, at);
