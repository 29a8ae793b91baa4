"""Real locustfiles that replay a workload, and published outages to reproduce."""
