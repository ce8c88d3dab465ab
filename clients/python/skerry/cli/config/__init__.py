"""Which server, token, project and environment a command uses, and where each comes from."""
