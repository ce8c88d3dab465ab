"""What the agent does when the control plane asks: one module a command or stream kind."""
