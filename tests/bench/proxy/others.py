"""Other programs that stand in front of an upstream, where they are found: nginx, Envoy, LiteLLM.

None of them prices or books anything. nginx passes on, Envoy also verifies the token's signature, and LiteLLM passes on
through its endpoint for that. `BENCH_NGINX`, `BENCH_ENVOY` and `BENCH_LITELLM` name their programs; else they are
looked for on PATH.
"""

import base64
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

NAMES = ("nginx", "envoy", "litellm")

_NGINX = """
daemon off; master_process off; worker_processes 1; pid {directory}/nginx.pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/f;
  uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  upstream stub {{ server {upstream}; keepalive 200; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{
      proxy_pass http://stub; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header X-Dezgo-Key none;
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Other:
    """A program that was found.

    Attributes:
        words: its command line.
        environ: what it needs beside PATH.
    """

    name: str
    words: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)


def found(
    directory: Path, ports: Iterator[int], *, upstream: str, key: RSAPublicKey
) -> tuple[list[tuple[Other, int]], list[str]]:
    """Those that are here, configured below `directory`, each with its port; and the names of those that are not."""
    here: list[tuple[Other, int]] = []
    absent: list[str] = []
    for name in NAMES:
        program = os.environ.get(f"BENCH_{name.upper()}") or shutil.which(name)
        if program is None:
            absent.append(name)
            continue
        place = directory / name
        place.mkdir()
        port = next(ports)
        here.append((_WAYS[name](program, place, port, upstream, key), port))
    return here, absent


def _nginx(program: str, place: Path, port: int, upstream: str, _: RSAPublicKey) -> Other:
    config = place / "nginx.conf"
    config.write_text(_NGINX.format(directory=place, port=port, upstream=urlsplit(upstream).netloc), "utf-8")
    return Other("nginx", (program, "-e", "stderr", "-p", str(place), "-c", str(config)))


def _envoy(program: str, place: Path, port: int, upstream: str, key: RSAPublicKey) -> Other:
    config = place / "envoy.json"
    config.write_text(json.dumps(_envoy_config(port, upstream, key)), "utf-8")
    said = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c", str(config))
    return Other("envoy", (program, *said))


def _litellm(program: str, place: Path, port: int, upstream: str, _: RSAPublicKey) -> Other:
    endpoint: dict[str, object] = {
        "path": "/text2image",
        "target": f"{upstream}/text2image",
        "headers": {"X-Dezgo-Key": "none"},
    }
    endpoint["auth"] = False  # it would ask for keys of its own
    config = place / "config.yaml"
    # JSON is YAML.
    config.write_text(json.dumps({"general_settings": {"pass_through_endpoints": [endpoint]}}), "utf-8")
    said = ("--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1")
    quiet = {
        "LITELLM_MASTER_KEY": "sk-" + "of-nobody-at-all" * 3,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "HOME": str(place),
    }
    return Other("litellm", (program, *said, "--telemetry", "False"), quiet)


_WAYS = {"nginx": _nginx, "envoy": _envoy, "litellm": _litellm}


# --- Envoy's words ------------------------------------------------------------------------------------------


def _envoy_config(port: int, upstream: str, key: RSAPublicKey) -> dict[str, object]:
    target = urlsplit(upstream)
    manager = {
        "@type": _type("network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "bench",
        "route_config": {
            "request_headers_to_add": [
                {"header": {"key": "X-Dezgo-Key", "value": "none"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            ],
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "stub"}}]}
            ],
        },
        "http_filters": [
            {"name": "jwt", "typed_config": _jwt(key)},
            {"name": "router", "typed_config": {"@type": _type("http.router.v3.Router")}},
        ],
    }
    listener = {
        "address": _address("127.0.0.1", port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    endpoints = [{"endpoint": {"address": _address(target.hostname or "", target.port or 0)}}]
    cluster = {
        "name": "stub",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "stub", "endpoints": [{"lb_endpoints": endpoints}]},
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _jwt(key: RSAPublicKey) -> dict[str, object]:
    provider = {
        "issuer": "bench",
        "audiences": ["gateway"],
        "from_headers": [{"name": "X-Dezgo-Key"}],
        "local_jwks": {"inline_string": json.dumps({"keys": [_jwk(key)]})},
    }
    rule = {"match": {"prefix": "/"}, "requires": {"provider_name": "bench"}}
    return {
        "@type": _type("http.jwt_authn.v3.JwtAuthentication"),
        "providers": {"bench": provider},
        "rules": [rule],
    }


def _jwk(key: RSAPublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    said = {"n": numbers.n, "e": numbers.e}
    return {"kty": "RSA", "alg": "RS256", "kid": "k1"} | {name: _base64url(value) for name, value in said.items()}


def _base64url(number: int) -> str:
    text = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode("ascii")


def _type(name: str) -> str:
    return f"type.googleapis.com/envoy.extensions.filters.{name}"


def _address(host: str, port: int) -> dict[str, object]:
    return {"socket_address": {"address": host, "port_value": port}}
