"""What both ends of the agent link share: the protocol core, its asyncio shell, the join token.

Pure on purpose: nothing here imports grpc. `connection` and what it uses are driven by messages and
a clock; `session` is the one module that knows asyncio.
"""
