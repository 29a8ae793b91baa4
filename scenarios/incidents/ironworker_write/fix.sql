CREATE INDEX ord_ext_id ON ord (ext_id);
