"""The soak: a control plane and an agent under log follows, terminals, commands and cuts, watched for growth. Called by scripts/soak."""
