"""A certificate authority for one run, and a certificate for 127.0.0.1. Never kept."""
import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def builder(subject, issuer, key):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer)).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=2)))


class Tls:
    """Paths: ca, cert, key."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.ca, self.cert, self.key = (os.path.join(folder, n) for n in ('ca.pem', 'cert.pem', 'key.pem'))
        ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        authority = builder('lab', 'lab', ca_key).add_extension(x509.BasicConstraints(True, 0), True).sign(ca_key, hashes.SHA256())
        own = builder('127.0.0.1', 'lab', key).add_extension(x509.SubjectAlternativeName(
            [x509.IPAddress(ipaddress.ip_address('127.0.0.1'))]), False).sign(ca_key, hashes.SHA256())
        self.write(self.ca, authority.public_bytes(serialization.Encoding.PEM))
        self.write(self.cert, own.public_bytes(serialization.Encoding.PEM))
        self.write(self.key, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                                               serialization.NoEncryption()))

    @staticmethod
    def write(path, content):
        with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), 'wb') as f:
            f.write(content)
