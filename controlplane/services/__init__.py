"""Use cases: one module for each noun. They own transactions and take collaborators in the constructor; no grpc, no SQL.

Rule for all of them: nothing is asked of an agent while a transaction is open.
"""
