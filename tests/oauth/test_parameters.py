from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.oauth.errors import InvalidRequest
from gatepost.oauth.parameters import MAX_PARAMETERS, Parameters, parse_parameters, read_parameters
from gatepost.oauth.reasons import Reason

TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1)


@given(st.dictionaries(TEXT, TEXT, max_size=MAX_PARAMETERS))
def test_what_a_client_encodes_is_what_is_read(parameters: dict[str, str]) -> None:
    assert parse_parameters(urlencode(parameters).encode("ascii")) == parameters


@given(TEXT)
def test_plus_and_percent_twenty_are_the_same_space(value: str) -> None:
    by_form = f"state={quote_plus(value)}".encode("ascii")
    by_uri = f"state={quote(value, safe='')}".encode("ascii")
    assert parse_parameters(by_form) == parse_parameters(by_uri) == {"state": value}


@given(st.lists(st.sampled_from([b"a=x", b"resource=y", b"resource=za", b"b=a-._~0", b"a=", b"a"])).map(b"&".join))
def test_plain_text_is_read_like_text_that_is_escaped(raw: bytes) -> None:
    assert read_parameters(raw) == read_parameters(raw.replace(b"a", b"%61").replace(b"e", b"%65"))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_and_never_crash(raw: bytes) -> None:
    parameters = read_parameters(raw)
    assert not parameters.values.keys() & (parameters.repeated | parameters.malformed)
    assert all(parameters.values.values())


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        (b"", {}),
        (b"&&", {}),
        (b"scope=", {}),
        (b"scope", {}),
        (b"scope=&state=x", {"state": "x"}),
        (b"state=a=b==", {"state": "a=b=="}),
        (b"state=a;scope=b", {"state": "a;scope=b"}),
        (b"state=%26%3D%2B", {"state": "&=+"}),
        ("state=é".encode(), {"state": "é"}),
        (b"state=%c3%a9%2b", {"state": "é+"}),
        (b"%73tate=x", {"state": "x"}),
        (b"resource=https://a/mcp&resource=", {"resource": "https://a/mcp"}),
        (b"=x", {"": "x"}),
    ],
)
def test_well_formed_queries(raw: bytes, values: dict[str, str]) -> None:
    assert read_parameters(raw) == Parameters(values, frozenset(), frozenset())


@pytest.mark.parametrize(
    "raw", [b"scope=a&scope=b", b"scope=a&scope=a", b"scope=&scope=a", b"scope=a&scope", b"scope=a&%73cope=b"]
)
def test_a_parameter_sent_twice_is_refused_and_neither_value_is_used(raw: bytes) -> None:
    assert read_parameters(raw) == Parameters({}, frozenset({"scope"}), frozenset())
    with pytest.raises(InvalidRequest) as refusal:
        parse_parameters(raw)
    assert refusal.value.reason is Reason.PARAMETER_REPEATED
    assert refusal.value.description == "The parameter scope is sent more than once; send it once."


@pytest.mark.parametrize(
    "name",
    [
        *("response_type", "response_mode", "redirect_uri", "scope", "state", "prompt"),
        *("code_challenge", "code_challenge_method"),
        *("grant_type", "code", "code_verifier", "refresh_token"),
        *("client_id", "client_secret", "client_assertion", "client_assertion_type"),
        *("token", "token_type_hint"),
    ],
)
def test_a_parameter_of_ours_that_is_sent_twice_is_named(name: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse_parameters(f"{name}=a&{name}=b".encode())
    assert refusal.value.description.split()[2] == name


def test_a_resource_that_cannot_be_decoded_is_named() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse_parameters(b"resource=%")
    assert refusal.value.description.split()[2] == "resource"


@pytest.mark.parametrize("value", [b"%", b"%4", b"%zz", b"a%", b"%ff", b"%c3", b"\xff", b"%00", b"a%00b", b"%ED%A0%80"])
def test_a_value_that_cannot_be_decoded_is_refused(value: bytes) -> None:
    assert read_parameters(b"x=1&state=" + value) == Parameters({"x": "1"}, frozenset(), frozenset({"state"}))
    with pytest.raises(InvalidRequest) as refusal:
        parse_parameters(b"state=" + value)
    assert refusal.value.reason is Reason.PARAMETER_MALFORMED
    assert refusal.value.description.startswith("The parameter state is malformed")


def test_a_name_that_cannot_be_decoded_is_refused() -> None:
    assert read_parameters(b"%zz=1&x=1") == Parameters({"x": "1"}, frozenset(), frozenset({""}))


def test_a_name_that_is_not_a_parameter_of_ours_is_not_repeated_in_the_error() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse_parameters(b"hunter2=1&hunter2=2")
    assert refusal.value.description == "A parameter is sent more than once; send it once."


def test_a_parameter_repeated_and_malformed_is_both() -> None:
    assert read_parameters(b"state=x&state=%") == Parameters({}, frozenset({"state"}), frozenset({"state"}))


def test_64_parameters_are_read_and_no_more() -> None:
    most = "&".join(f"p{number}=1" for number in range(64)).encode()
    assert len(parse_parameters(most)) == 64
    assert read_parameters(most + b"&one=more") == Parameters({}, frozenset(), frozenset({""}))
    assert parse_parameters(b"&" * 63) == {}
    with pytest.raises(InvalidRequest) as refusal:
        parse_parameters(b"&" * 64)
    assert refusal.value.reason is Reason.PARAMETER_MALFORMED


def test_resource_may_be_sent_again_with_the_same_value() -> None:
    assert parse_parameters(b"resource=https%3A%2F%2Fa%2Fmcp&client_id=x&resource=https://a/mcp") == {
        "resource": "https://a/mcp",
        "client_id": "x",
    }


def test_different_resources_are_no_resource_of_anybody() -> None:
    """RFC 8707 section 2 allows several; a token of ours is for one, so such a request is for none of them."""
    parameters = read_parameters(b"resource=https://a/mcp&resource=https://b/mcp&resource=https://a/mcp")

    assert parameters.repeated == frozenset()
    assert parameters.values == {"resource": "https://a/mcp https://b/mcp https://a/mcp"}


def test_a_resource_that_cannot_be_decoded_beside_a_good_one_is_malformed() -> None:
    assert read_parameters(b"resource=%ff&resource=https://a/mcp").malformed == {"resource"}
