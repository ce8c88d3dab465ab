"""The HTTP side: probes, metrics, and the pages of logging in. Runs in the gRPC servers' event loop; started by `app.py`."""
