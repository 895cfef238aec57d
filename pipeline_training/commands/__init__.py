"""The commands of `paxnode-train` that need a module of their own."""
