"""Show what a workload or a run holds: `summary` computes a run's figures once, the writers only write.

`text` is for the terminal, `as_json` for programs, `html` for people who were not there;
`inspect` does the same for a workload.
"""
