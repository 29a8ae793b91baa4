"""Which captured statements, and which foreign keys, does no index serve: the judgement.

Judged here, from plans, sizes and rates that were gathered elsewhere; nothing here asks a server.
"""
