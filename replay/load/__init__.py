"""Drive a planned load against a marked target: schedule, shards, engine, Locust, verdict."""
