"""Requests: access logs in, exact figures of every route and a sample of whole requests out.

Beside the SQL log's half of this stage and built like it: `formats` reads blocks of a log by columns,
`shapes` tells paths that differ in their values alone by a hash, `routes` makes routes of shapes,
`tally` counts them, `sample` keeps some of each, `reading` conducts.
"""
