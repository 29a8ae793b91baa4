"""Published outages, a folder each: schema, data, traffic, and what must be found."""
