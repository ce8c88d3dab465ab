"""A rollout as a person wants to see it: what the compose file says, where the pods are, how it ended."""
