"""Setup links: what is made is read back, and nothing else is."""

import pytest
import trustme
from skerry.setup_link import SetupLink, SetupLinkError

CA = trustme.CA().cert_pem.bytes()


@pytest.mark.parametrize(
    "link",
    [
        SetupLink("cloud.example:7070", "sks_abc", CA),
        SetupLink("[::1]:7070", "sks_abc"),
        SetupLink("127.0.0.1:7070", "sks_abc", tls=False),
    ],
)
def test_a_link_is_read_back(link: SetupLink) -> None:
    read = SetupLink.parse(f"  {link.encode()}\n")
    assert (read.server, read.code, read.tls) == (link.server, link.code, link.tls)
    assert read.ca_pem.split() == link.ca_pem.split()


def test_what_matters_stays_in_the_browser() -> None:
    before, _, behind = SetupLink("cloud.example:7070", "sks_abc", CA).encode().partition("#")
    assert before == "https://cloud.example:7070/setup"
    assert "sks_abc" in behind


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cloud.example:7070",
        "https://cloud.example:7070/setup",
        "https://cloud.example:7070/other#code=sks_abc",
        "ftp://cloud.example/setup#code=sks_abc",
        "https:///setup#code=sks_abc",
        "https://cloud.example/setup#code=sks_abc&ca=!!!",
        "https://cloud.example/setup#code=" + "x" * 20_000,
    ],
)
def test_nothing_else_is_a_link_and_the_error_keeps_the_code(text: str) -> None:
    with pytest.raises(SetupLinkError) as refused:
        SetupLink.parse(text)
    assert "sks_abc" not in str(refused.value)
    assert "sks_abc" not in repr(SetupLink("x:1", "sks_abc"))
