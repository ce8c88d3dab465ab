"""The `skerry` command: everything it does goes through the SDK."""
