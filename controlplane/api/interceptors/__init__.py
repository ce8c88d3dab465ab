"""What every call passes before and after its servicer, on the API port and on the agent port. Wired by `app.py`.

The order is fixed, outermost first:

1. `access_log` gives the call its request id and writes one line when it ends.
2. `metrics` counts and times it.
3. `errors` turns exceptions into a status with google.rpc details.
4. `authentication` decides who calls, and refuses before a byte of the request is read.
5. `limits` refuses requests that are too large.
"""
