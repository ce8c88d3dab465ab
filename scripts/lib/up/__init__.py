"""The newcomer's path: from a checkout to a running app, in one command. Called by scripts/up and scripts/down."""
