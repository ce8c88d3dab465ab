"""The HTTP side: probes and metrics. Runs in the gRPC servers' event loop; started by `app.py`."""
