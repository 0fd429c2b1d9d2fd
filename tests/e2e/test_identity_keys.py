"""Whose tokens are believed: keys of every algorithm, from the configuration and from a provider's key set."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from gateway.identity import base64url
from gateway.identity.mint import SigningKey, mint_token
from gateway.units import Credits
from tests.e2e.conftest import MakeWorld
from tests.e2e.world import World
from tests.unit.identity.tokens import jwks_of, private_pem, public_of, signer

KINDS = {"rsa": "RS256", "p256": "ES256", "ed25519": "EdDSA"}
Outcome = tuple[int, str | None]
YAML = "tests.e2e.world.GATEWAY_YAML"
CLAIMS = "claims: {tenant: tenant, team: team, user: sub}"


class Provider:
    """A provider of keys on loopback. `away` drops every connection; `asked` counts them all."""

    def __init__(self, *keys: SigningKey) -> None:
        self.document = jwks_of(*keys)
        self.away = False
        self.asked = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        self.asked += 1
        await reader.readuntil(b"\r\n\r\n")
        if self.away:
            writer.transport.abort()
        else:
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(self.document)}\r\n\r\n"
            writer.write(head.encode() + self.document)
        writer.close()


@asynccontextmanager
async def provider(*keys: SigningKey) -> AsyncIterator[Provider]:
    made = Provider(*keys)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"
    async with server:
        yield made


def believe(monkeypatch: pytest.MonkeyPatch, issuer: str, *, jwks: str = "") -> None:
    """Let the next worlds believe one issuer more, and fetch key sets as said."""
    from tests.e2e.world import GATEWAY_YAML

    monkeypatch.setattr(YAML, GATEWAY_YAML.replace("  issuers:\n", f"{jwks}  issuers:\n{issuer}"))


def believe_provider(monkeypatch: pytest.MonkeyPatch, url: str, *, cooldown_s: int = 1) -> None:
    issuer = f'    - {{issuer: provider, audiences: [gateway], jwks_url: "{url}", {CLAIMS}}}\n'
    jwks = f"  jwks: {{allow_http: true, cooldown_s: {cooldown_s}, refresh_s: 300, timeout_s: 2}}\n"
    believe(monkeypatch, issuer, jwks=jwks)


def token(here: World, key: SigningKey, *, issuer: str = "provider", audience: str = "gateway") -> dict[str, str]:
    """A key field with a token signed by `key`."""
    minted = mint_token(
        key, issuer=issuer, audience=audience, tenant=here.tenant("rich"), user="ann", ttl_s=600, now=time.time()
    )
    return {"X-Dezgo-Key": minted}


async def asked(here: World, fields: dict[str, str]) -> Outcome:
    """The status and reason of a question that costs nothing."""
    answer = await here.ask("GET", "/gateway/budget", headers=fields)
    return answer.status, answer.json().get("reason")


GOOD: Outcome = (200, None)
REFUSED: Outcome = (401, "unauthenticated")


async def until_answered(here: World, fields: dict[str, str], wanted: Outcome) -> None:
    """Ask until the answer is `wanted`. Raises TimeoutError."""
    async with asyncio.timeout(10):
        while await asked(here, fields) != wanted:
            pass


# --- keys in the configuration ----------------------------------------------------------------------------------


def configured(directory: Path, *, in_files: bool) -> str:
    """An issuer with a public key of each algorithm, its kid the kind's name."""
    keys = []
    for kind, algorithm in KINDS.items():
        pem = public_of(kind, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        (directory / f"{kind}.pem").write_text(pem)
        place = f"public_key_file: {directory / kind}.pem" if in_files else f"public_key: {json.dumps(pem)}"
        keys.append(f"        - {{kid: {kind}, algorithm: {algorithm}, {place}}}\n")
    return f"    - issuer: company\n      audiences: [gateway]\n      {CLAIMS}\n      keys:\n{''.join(keys)}"


@pytest.mark.parametrize("in_files", [False, True])
async def test_tokens_of_every_algorithm_are_believed_and_pay(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, in_files: bool
) -> None:
    believe(monkeypatch, configured(tmp_path, in_files=in_files))
    async with make_world() as here:
        fields = [token(here, signer(kind, kid=kind), issuer="company") for kind in KINDS]
        for field in (*fields, here.key()):
            answer = await here.ask("POST", "/text2image", json={"prompt": "a"}, headers=field)
            assert (answer.status, answer.fields["x-credits-cost"]) == (200, "19")
        assert (await here.balances())[0].spent == Credits.whole(4 * 19)
        # One key of each algorithm leaves no choice: a token need not name it.
        unnamed = [await asked(here, token(here, signer(kind, kid=None), issuer="company")) for kind in KINDS]
        assert unnamed == [GOOD] * 3


async def test_tokens_that_only_look_like_it_are_not_believed(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    believe(monkeypatch, configured(tmp_path, in_files=False))
    async with make_world() as here:
        wrong = {
            f"{kind}: another key under its kid": token(here, signer(kind, kid=kind, name="b"), issuer="company")
            for kind in KINDS
        }
        wrong |= {
            "another algorithm's kid": token(here, signer("p256", kid="rsa"), issuer="company"),
            "an unknown kid": token(here, signer("rsa", kid="old"), issuer="company"),
            "another issuer's key": token(here, signer("rsa", kid="rsa"), issuer="tests"),
            "an unknown issuer": token(here, signer("rsa", kid="rsa"), issuer="company2"),
            "another audience": token(here, signer("rsa", kid="rsa"), issuer="company", audience="other"),
            "signed with the public key": forged(here),
        }
        for what, fields in wrong.items():
            assert await asked(here, fields) == REFUSED, what
        assert (await here.audit()).entries == 0


def forged(here: World) -> dict[str, str]:
    """A token signed by HS256 with the text of an RSA public key as the secret."""
    secret = public_of("rsa", Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    good = token(here, signer("rsa", kid="rsa"), issuer="company")["X-Dezgo-Key"]
    head = base64url.encode(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "rsa"}).encode())
    signed = f"{head}.{good.split('.')[1]}"
    signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return {"X-Dezgo-Key": f"{signed}.{base64url.encode(signature)}"}


@pytest.mark.parametrize(("kind", "algorithm"), [("rsa1024", "RS256"), ("p384", "ES256"), ("ed25519", "RS256")])
async def test_a_gateway_does_not_start_on_a_key_that_is_weak_or_not_of_its_algorithm(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, kind: str, algorithm: str
) -> None:
    private = load_pem_private_key(private_pem(kind), None)
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    key = f"{{kid: bad, algorithm: {algorithm}, public_key: {json.dumps(pem)}}}"
    believe(monkeypatch, f"    - {{issuer: company, audiences: [gateway], {CLAIMS}, keys: [{key}]}}\n")
    with pytest.raises(ValueError, match=r"RSA|P-256|RS256"):
        async with make_world():
            raise AssertionError


# --- keys of a provider -----------------------------------------------------------------------------------------


async def test_a_providers_keys_of_every_algorithm_are_fetched_once_and_believed(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [signer(kind, kid=kind) for kind in KINDS]
    async with provider(*keys) as company:
        believe_provider(monkeypatch, company.url)
        async with make_world() as here:
            for key in keys:
                answer = await here.ask("POST", "/text2image", json={"prompt": "a"}, headers=token(here, key))
                assert answer.status == 200
            assert await asked(here, here.key()) == GOOD
            assert company.asked == 1
            assert (await here.balances())[0].spent == Credits.whole(57)


async def test_a_new_key_is_found_by_one_fetch_and_a_removed_one_is_refused(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = signer("ed25519", kid="old"), signer("ed25519", kid="new", name="b")
    async with provider(old) as company:
        believe_provider(monkeypatch, company.url)
        async with make_world() as here:
            known = token(here, old)
            assert await asked(here, known) == GOOD
            company.document = jwks_of(new)
            fresh = token(here, new)
            async with asyncio.timeout(10):
                answers: set[Outcome] = set()
                while answers != {GOOD}:  # refused while the first fetch cools down
                    answers = set(await asyncio.gather(*(asked(here, fresh) for _ in range(20))))
                    assert answers <= {GOOD, REFUSED}
            assert company.asked == 2
            # Its token had been verified and remembered; the key is gone, and so is the memory.
            assert await asked(here, known) == REFUSED


async def test_a_flood_of_unknown_kids_reaches_the_provider_no_further_than_once(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with provider(signer("ed25519")) as company:
        believe_provider(monkeypatch, company.url, cooldown_s=60)
        async with make_world() as here:
            odd = [token(here, signer("ed25519", kid=f"k{number}", name="b")) for number in range(2, 42)]
            assert set(await asyncio.gather(*(asked(here, fields) for fields in odd))) == {REFUSED}
            assert await asked(here, token(here, signer("ed25519"))) == GOOD
            assert company.asked == 1


async def test_a_provider_that_is_away_at_the_start_is_said_to_be_so_and_waited_for(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = signer("p256")
    async with provider(key) as company:
        company.away = True
        believe_provider(monkeypatch, company.url)
        async with make_world() as here:
            refused = await here.ask("POST", "/text2image", json={"prompt": "a"}, headers=token(here, key))
            assert (refused.status, refused.json()["reason"]) == (503, "identity_unavailable")
            assert int(refused.fields["retry-after"]) > 0
            async with here.session.get(here.ops_url + "/readyz") as answer:
                assert (answer.status, (await answer.json())["missing"]) == (503, ["identity"])
            # Another issuer's tokens are judged all the same.
            assert await asked(here, here.key()) == GOOD
            company.away = False
            await until_answered(here, token(here, key), GOOD)
            async with here.session.get(here.ops_url + "/readyz") as answer:
                assert answer.status == 200
            assert here.simulator.received.counts.total() == 0


async def test_a_provider_that_goes_away_later_is_not_missed(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with provider(signer("rsa")) as company:
        believe_provider(monkeypatch, company.url)
        async with make_world() as here:
            company.away = True
            stranger = token(here, signer("rsa", kid="k2", name="b"))
            async with asyncio.timeout(10):
                while company.asked < 2:
                    assert await asked(here, stranger) == REFUSED
            assert await asked(here, token(here, signer("rsa"))) == GOOD
            async with here.session.get(here.ops_url + "/readyz") as answer:
                assert answer.status == 200


@pytest.mark.parametrize(
    "document", [b"", b"<html>", b"{}", b'{"keys":[]}', b'{"keys":[{"kty":"oct","k":"AAAA","kid":"k1"}]}']
)
async def test_a_document_without_usable_keys_is_no_key_set(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, document: bytes
) -> None:
    async with provider() as company:
        company.document = document
        believe_provider(monkeypatch, company.url)
        async with make_world() as here:
            assert await asked(here, token(here, signer("rsa"))) == (503, "identity_unavailable")
