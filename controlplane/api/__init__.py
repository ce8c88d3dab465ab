"""The gRPC border: one servicer for each service of `skerry.platform.v1`. Convert, call the service, convert; nothing else."""
