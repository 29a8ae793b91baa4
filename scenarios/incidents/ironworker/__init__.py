"""The IronWorker API outage of April 2013: two rare queries without an index.

Timeouts in bursts of 5 to 10 minutes for two days, monitoring that looked normal, a staging that
could not reproduce it; indexes for two rarely used queries ended it.
"""
