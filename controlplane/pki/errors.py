"""What can go wrong with certificates and keys; `app.py`, `doctor` and the services that sign or verify read these."""


class PkiError(Exception):
    """Base of everything this package raises on purpose. The message names the file or field and the way out."""


class KeyMaterialError(PkiError):
    """A key or certificate on disk is missing, unreadable, open to others or does not fit its partner."""


class InvalidSigningRequest(PkiError):
    """A certificate signing request cannot be signed: not PKCS #10, badly signed, or of another kind of key."""


class InvalidCertificate(PkiError):
    """A certificate was not issued by this authority for an agent, or is outside its life."""


class AnotherAuthority(InvalidCertificate):
    """A certificate was signed by an authority that is not this one."""


class RotationError(PkiError):
    """The authority cannot be changed now."""
