"""What the agent does with apps: environments, deploys, rollouts, previews, removal, status, logs.

Use cases on plain dataclasses: `agent.handlers` converts messages, `agent.compose` plans,
`agent.kube` speaks to the API server. Start at `deploy.Deployer`.
"""
