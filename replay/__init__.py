"""staging-replay: find the next lock outage before its release.

Importing this package loads neither psycopg nor locust.
"""

__version__ = "0.1.0"
