"""The control plane's side of the link: admit agents, hand out commands, open streams on live agents."""
