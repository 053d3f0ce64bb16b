"""An OpenID Connect issuer of this process: it signs everybody in who comes, as the person that a test says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT = "console"


class TestIssuer:
    """What it says of people; ``claims`` are those of who signs in next."""

    __test__ = False

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self.signs_with = self.key
        self.claims: dict[str, Any] = {}
        self.nonces: dict[str, str] = {}
        self.asked: list[dict[str, list[str]]] = []

    def authorised(self, address: str) -> str:
        """What a browser is sent back with, once its person has signed in: the code for the address that it was led to."""
        asked = parse_qs(urlsplit(address).query)
        self.asked.append(asked)
        code = f"code-{len(self.asked)}"
        self.nonces[code] = asked["nonce"][0]
        return f"{asked['redirect_uri'][0]}?code={code}&state={asked['state'][0]}"

    def metadata(self) -> dict[str, Any]:
        """What is below ``/.well-known``."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def token(self, form: dict[str, list[str]]) -> dict[str, Any]:
        """The tokens of a code."""
        now = int(time.time())
        said = {
            "iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 60, "sub": "1", "nonce": self.nonces[form["code"][0]], **self.claims,
        }  # fmt: skip
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, said, self.signs_with)
        return {"access_token": "access", "token_type": "Bearer", "id_token": signed}


@contextmanager
def issuing() -> Iterator[TestIssuer]:
    """An issuer that listens."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = {
                "/.well-known/openid-configuration": issuer.metadata(),
                "/keys": {"keys": [issuer.key.as_dict(private=False)]},
            }
            self._say(known[self.path])

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            self._say(issuer.token(parse_qs(body)))

        def _say(self, value: Any) -> None:
            text = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = TestIssuer(server.server_port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
