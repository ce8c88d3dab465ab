"""A compose project on disk as the bundle that is sent: the compose files and the files they name."""
