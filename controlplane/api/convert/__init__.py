"""Domain objects as `skerry.platform.v1` messages and back. Pure; called by the servicers only."""
