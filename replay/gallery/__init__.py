"""Incidents as regression tests: a folder of mostly data becomes production, capture, replay, verdict."""
