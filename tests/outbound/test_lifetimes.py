"""For how long a document may be kept."""

import pytest

from gatepost.outbound.lifetimes import document_lifetime


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 3600),
        ({"cache-control": "public"}, 3600),
        ({"cache-control": ""}, 3600),
        ({"cache-control": "max-age=x"}, 3600),
        ({"cache-control": "public, max-age=300"}, 300),
        ({"cache-control": 'MAX-AGE="300"'}, 300),
        ({"cache-control": "max-age=300", "age": "100"}, 200),
        ({"cache-control": "max-age=300", "age": "1000"}, 60),
        ({"cache-control": "max-age=300", "age": "soon"}, 300),
        ({"cache-control": "max-age=300, s-maxage=600"}, 600),
        ({"cache-control": "max-age=0"}, 60),
        ({"cache-control": "no-store"}, 60),
        ({"cache-control": "no-cache, max-age=86400"}, 60),
        ({"cache-control": "max-age=31536000, immutable"}, 86400),
        ({"cache-control": "max-age=" + "9" * 400}, 86400),
    ],
)
def test_the_servers_word_counts_inside_our_bounds(headers: dict[str, str], seconds: int) -> None:
    assert document_lifetime(headers) == seconds
