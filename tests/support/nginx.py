"""A real nginx in front of others: paths taken away, TLS with an authority of its own."""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from processes import ServerProcess, free_port

NAMES = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
CONFIG = """
daemon off; pid nginx.pid; error_log stderr;
events {{}}
http {{
  access_log off; client_max_body_size 0;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server {{
    listen 127.0.0.1:{port} ssl; ssl_certificate server.pem; ssl_certificate_key server.key;
    location = /up {{ return 200; }}
    {locations}
  }}
}}
"""
LOCATION = """
    location {path}/ {{
      proxy_pass {target}/;
      proxy_set_header X-Forwarded-Prefix {path}; proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;
    }}
"""
"""As SECURITY.md has it."""


@dataclass(frozen=True)
class Front:
    """Where nginx listens, and the file of the authority that signed its certificate."""

    port: int
    url: str
    ca_file: Path
    folder: Path

    @contextmanager
    def serve(self, paths: Mapping[str, str]) -> Iterator[None]:
        """Path → what answers below it, while the context lasts."""
        locations = "\n".join(LOCATION.format(path=path, target=target) for path, target in paths.items())
        (self.folder / "nginx.conf").write_text(CONFIG.format(port=self.port, locations=locations))
        as_user = ["-g", "user root;"] if os.geteuid() == 0 else []
        command = [program(), "-p", str(self.folder), "-c", "nginx.conf", "-e", "stderr", *as_user]
        with ServerProcess("nginx", command, log=self.folder / "nginx.log") as process:
            process.wait_healthy(f"{self.url}/up", verify=str(self.ca_file))
            yield


def program() -> str:
    """nginx's path; without it, the test is skipped, and fails in CI."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        reason = "no nginx: install Debian's package nginx-light"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return found


def front(folder: Path) -> Front:
    """A place for nginx, with a certificate for this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    _certificates(folder)
    port = free_port()
    return Front(port, f"https://localhost:{port}", folder / "ca.pem", folder)


def _certificates(folder: Path) -> None:
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of our own")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)

    def signed(name: x509.Name, public: ec.EllipticCurvePublicKey, *, is_ca: bool) -> bytes:
        made = x509.CertificateBuilder(issuer, name, public, x509.random_serial_number())
        made = made.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        made = made.add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        of = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
        made = made.add_extension(of, critical=False).add_extension(x509.SubjectAlternativeName(NAMES), critical=False)
        usage = x509.KeyUsage(not is_ca, False, False, False, not is_ca, is_ca, is_ca, False, False)
        made = made.add_extension(usage, critical=True)
        return made.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    (folder / "ca.pem").write_bytes(signed(issuer, authority.public_key(), is_ca=True))
    (folder / "server.pem").write_bytes(signed(subject, key.public_key(), is_ca=False))
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "server.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
