"""What can be wrong with the keyring."""


class KeyringError(Exception):
    """The keyring cannot be read, written or changed as asked; the message says why and what to do."""
