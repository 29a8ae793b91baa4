"""Tables in, rows out: staging data of production's shape. Imports nothing of replay."""
