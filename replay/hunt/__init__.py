"""Hunt: which rare path breaks staging, and at what multiple of production's peak.

A model predicts from each path's solo profile; only what it ranks worst is confirmed by load.
"""
