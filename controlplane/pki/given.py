"""A server certificate that the operator brings, for the API listener: from a public authority, say. Called by `app.py`."""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from controlplane.pki import files
from controlplane.pki.authority import ServerIdentity
from controlplane.pki.errors import KeyMaterialError


def read_pair(certificate_file: Path, key_file: Path) -> ServerIdentity:
    """Reads a chain and its key, of any kind of key, and checks that they belong together. Raises KeyMaterialError."""
    chain_pem, key_pem = files.read(certificate_file), files.read(key_file)
    try:
        certificate = x509.load_pem_x509_certificate(chain_pem)
    except ValueError as error:
        raise KeyMaterialError(f"{certificate_file} is not a certificate in PEM") from error
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError) as error:
        raise KeyMaterialError(f"{key_file} is not an unencrypted private key in PEM") from error
    if certificate.public_key() != key.public_key():
        raise KeyMaterialError(f"{certificate_file} does not belong to {key_file}")
    return ServerIdentity(key_pem=key_pem, chain_pem=chain_pem)
