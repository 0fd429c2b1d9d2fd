"""Which stores a URL speaks of."""

import pytest

from gateway.ledger.store.address import Address, Kind, StoreUrl, read_url


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("redis://h", StoreUrl(Kind.SINGLE, (Address("h", 6379),))),
        ("redis://h:7000/2", StoreUrl(Kind.SINGLE, (Address("h", 7000),), database=2)),
        ("redis://h?db=3", StoreUrl(Kind.SINGLE, (Address("h", 6379),), database=3)),
        ("redis://[::1]:7", StoreUrl(Kind.SINGLE, (Address("::1", 7),))),
        ("rediss://u:p%40w@h/1", StoreUrl(Kind.SINGLE, (Address("h", 6379),), True, "u", "p@w", 1)),
        ("redis://:pw@h", StoreUrl(Kind.SINGLE, (Address("h", 6379),), password="pw")),
        ("redis://h?password=pw", StoreUrl(Kind.SINGLE, (Address("h", 6379),), password="pw")),
        ("unix:///run/s?db=1", StoreUrl(Kind.SINGLE, (Address("/run/s"),), database=1)),
        ("unix://:pw@/run/s", StoreUrl(Kind.SINGLE, (Address("/run/s"),), password="pw")),
        ("redis+cluster://a:1,b:2", StoreUrl(Kind.CLUSTER, (Address("a", 1), Address("b", 2)))),
        ("rediss+cluster://:pw@a", StoreUrl(Kind.CLUSTER, (Address("a", 6379),), True, password="pw")),
        (
            "redis+sentinel://a,b:2/main?db=4",
            StoreUrl(Kind.SENTINEL, (Address("a", 26379), Address("b", 2)), database=4, name="main"),
        ),
    ],
)
def test_a_url_says_which_stores_how_and_as_whom(text: str, read: StoreUrl) -> None:
    assert read_url(text) == read
    assert "pw" not in repr(read_url(text))


@pytest.mark.parametrize(
    "text",
    [
        *("", "h", "redis://", "redis://:1", "redis://h:0", "redis://h:x", "redis://h/x", "redis://h/-1", "http://h"),
        *("redis://h?other=1", "redis://h#x", "redis://a,b", "unix://", "unix:///", "unix://h/s", "unix+cluster:///s"),
        *("redis+cluster://a/1", "redis+cluster://a?db=1", "redis+cluster://", "redis+cluster://a,,b"),
        *("redis+sentinel://a", "redis+sentinel://a/b/c", "redis+other://a", "redis://h/1234567", "redis://h/²"),
    ],
)
def test_anything_else_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        read_url(text)
    assert not text or len(text) < 3 or text not in str(refused.value)
