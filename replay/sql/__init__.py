"""SQL text: tokens, fingerprints, slots, and which column each slot meets."""
