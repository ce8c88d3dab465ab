"""The agent: makes one cluster be what is wanted. It runs in or beside the cluster and dials out."""
