"""Show what a workload holds: its templates, the rare ones, one of them whole, what was scrubbed."""
