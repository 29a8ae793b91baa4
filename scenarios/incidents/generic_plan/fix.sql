CREATE INDEX event_tenant_id_at ON event (tenant_id, at DESC);
