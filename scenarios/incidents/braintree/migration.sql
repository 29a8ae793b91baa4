CREATE INDEX payment_note ON payment (note, at);
