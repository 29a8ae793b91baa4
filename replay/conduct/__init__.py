"""The conductor: what takes several stages. The command line and hunt call it; stages do not."""
