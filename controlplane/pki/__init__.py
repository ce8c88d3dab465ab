"""The control plane's own certificate authority.

`app.py` opens it at start: the authority signs the server certificates of both gRPC listeners and the identity of every
agent that enrols. The enrolment service signs through it and the link verifies agents through it.
"""
