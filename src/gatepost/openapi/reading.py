"""The bytes of a document, from a file or an address that the operator named."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

import orjson

from gatepost.openapi.errors import UnreadableDescription
from gatepost.openapi.yaml_text import InvalidYAML, load_yaml
from gatepost.protocol.json_encoding import encode

LARGEST_DOCUMENT: Final = 32 * 1024 * 1024
"""Bytes. GitHub's description, the largest of the public ones, has 13 MB."""
SECONDS: Final = 20.0
"""For one document."""
_OK: Final = 200
_REDIRECTS: Final = range(300, 400)
_ACCEPT: Final = "application/json, application/yaml;q=0.9, */*;q=0.5"

Read = Callable[[str], bytes]
"""Returns what is at a URI; raises UnreadableDescription."""


def read_file(uri: str) -> bytes:
    """Return a file by its `file:` URI."""
    path = path_of(uri)
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_DOCUMENT + 1)
    except OSError as error:
        raise UnreadableDescription(f"{path}: {error.strerror or type(error).__name__}") from None
    if len(content) > LARGEST_DOCUMENT:
        raise UnreadableDescription(f"{path} has more than {LARGEST_DOCUMENT} bytes")
    return content


def path_of(uri: str) -> Path:
    """Return the file that a `file:` URI is of, with symbolic links followed."""
    return Path(url2pathname(urlsplit(uri).path)).resolve()


def fetch(url: str) -> bytes:
    """Return the document at an address, from where an event loop may run already.

    The operator named its origin, which may lie in the own network. No redirect is followed: it would lead elsewhere.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="gatepost-openapi") as thread:
        return thread.submit(lambda: asyncio.run(_fetch(url))).result()


async def _fetch(url: str) -> bytes:
    import httpx2  # noqa: PLC0415 - descriptions are mostly files

    from gatepost.outbound.fetching import system_trust  # noqa: PLC0415 - likewise
    from gatepost.outbound.transport import way_to  # noqa: PLC0415 - likewise

    way = way_to(url, None, system_trust, limit=LARGEST_DOCUMENT)
    headers = {"Accept": _ACCEPT, "User-Agent": "gatepost"}
    try:
        async with (
            asyncio.timeout(SECONDS),
            httpx2.AsyncClient(transport=way, trust_env=False, timeout=SECONDS) as http,
        ):
            response = await http.get(url, headers=headers, follow_redirects=False)
    except TimeoutError:
        raise UnreadableDescription(f"{url} does not answer within {SECONDS:.0f} seconds") from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise UnreadableDescription(f"{url} cannot be fetched: {str(error) or type(error).__name__}") from None
    if response.status_code in _REDIRECTS:
        target = response.headers.get("location", "another address")
        raise UnreadableDescription(f"{url} leads on to {target}, which is not followed; give that address")
    if response.status_code != _OK:
        raise UnreadableDescription(f"{url} answers {response.status_code}")
    return response.content


def parse(content: bytes, where: str) -> Any:
    """Return the JSON value that a document holds as JSON or as YAML; errors name `where`."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableDescription(f"{where} is not in UTF-8") from None
    if text.lstrip()[:1] in {"{", "["}:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            problem = f"{where}, line {error.lineno}: {error.msg}"
        # A mapping in braces may be YAML all the same.
        if not problem.endswith("recursion limit exceeded") and not _looks_like_json(text):
            return _parse_yaml(text, where)
        raise UnreadableDescription(problem)
    return _parse_yaml(text, where)


def _looks_like_json(text: str) -> bool:
    return text.lstrip()[1:].lstrip()[:1] in {'"', "}", "{", "["}


def _parse_yaml(text: str, where: str) -> Any:
    try:
        return load_yaml(text)
    except InvalidYAML as error:
        raise UnreadableDescription(f"{where}, {error}") from None


def as_json(description: Any) -> Any:
    """Return a description that was given as Python values as JSON has it, with keys such as 200 as texts."""
    try:
        return orjson.loads(encode(description, option=orjson.OPT_NON_STR_KEYS))
    except (TypeError, ValueError) as error:
        raise UnreadableDescription(f"what was given cannot be JSON: {error}") from None


def size_of(value: Any) -> int:
    """Return how many bytes a JSON value has as it is listed."""
    return len(orjson.dumps(value))
