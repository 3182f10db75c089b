"""Where the key ring comes from, and that a wrong one is noticed at the start."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from pathlib import Path

import pytest

from gatepost.configuration import sealing_keys
from gatepost.configuration.sealing_keys import check_key_ring as check_key_ring_at
from gatepost.configuration.sealing_keys import keys_in_file, make_key_ring
from gatepost.configuration.settings import SettingsError, load_settings
from gatepost.stores.contract.store import Store
from gatepost.stores.signing_keys import open_signing_key, sealed_signing_key
from gatepost.stores.sql.sqlite import memory_store
from gatepost.tokens.sealing import KeyRing, key_id
from gatepost.tokens.signing import generate_signing_key

OLD = "old-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"
NOW = 1_000
NEW = "new-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"


async def check_key_ring(ring: KeyRing, store: Store, *, file: Path = Path("/nowhere/gatepost.key")) -> None:
    await check_key_ring_at(ring, store, file=file, now=NOW, random_bytes=secrets.token_bytes)


def read(path: Path) -> tuple[str, ...]:
    return keys_in_file(path, random_bytes=secrets.token_bytes)


def test_the_first_start_makes_a_key_for_its_owner_alone_and_the_next_finds_it(tmp_path: Path) -> None:
    path = tmp_path / "data" / "gatepost.key"
    (key,) = read(path)
    assert key.startswith("gp_sk_")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert read(path) == (key,)
    assert list(path.parent.iterdir()) == [path]


def test_a_process_that_was_faster_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gatepost.key"
    link = os.link

    def beaten(source: Path, destination: Path) -> None:
        Path(destination).write_text(OLD)
        Path(destination).chmod(0o600)
        link(source, destination)

    monkeypatch.setattr(os, "link", beaten)
    assert read(path) == (OLD,)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gatepost.key"
    path.write_text(OLD)
    path.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 50, b"a" * 50])
def test_a_file_that_holds_something_else_is_refused_and_kept(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "gatepost.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SettingsError, match="holds something else"):
        read(path)
    assert path.read_bytes() == content


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(SettingsError, match="cannot be made or read"):
        read(tmp_path / "data" / "gatepost.key")


def test_a_file_may_hold_several_keys_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "gatepost.key"
    path.write_text(f"{NEW}\n{OLD}\n")
    path.chmod(0o600)
    ring = make_key_ring(load_settings(), file=path, random_bytes=secrets.token_bytes)
    assert ring.key_ids == (key_id(NEW), key_id(OLD))


def test_the_setting_beats_the_file_which_is_not_even_made(tmp_path: Path) -> None:
    settings = load_settings({"MCP_SEALING_KEYS": f" {NEW}  {OLD} "})
    ring = make_key_ring(settings, file=tmp_path / "gatepost.key", random_bytes=secrets.token_bytes)
    assert ring.key_ids == (key_id(NEW), key_id(OLD))
    assert not list(tmp_path.iterdir())


def test_what_is_lost_at_exit_is_sealed_under_one_key_of_this_process() -> None:
    rings = [make_key_ring(load_settings(), file=None, random_bytes=secrets.token_bytes) for _ in range(2)]
    assert rings[0].key_ids == rings[1].key_ids


async def test_a_ring_without_the_stores_key_is_refused() -> None:
    store = memory_store()
    await check_key_ring(KeyRing([OLD]), store)
    await check_key_ring(KeyRing([OLD]), store)
    with pytest.raises(SettingsError) as refusal:
        await check_key_ring(KeyRing([NEW]), store)
    (sentence,) = refusal.value.sentences
    assert key_id(OLD) in sentence
    assert "MCP_SEALING_KEYS" in sentence
    assert OLD not in sentence
    assert NEW not in sentence


def set_by_a_shell(assignment: str) -> str:
    command = ["sh", "-c", f'{assignment}; printf %s "$MCP_SEALING_KEYS"']
    return subprocess.run(
        command, env={"PATH": os.environ["PATH"], "MCP_SEALING_KEYS": NEW}, capture_output=True, text=True, check=True
    ).stdout


async def test_a_key_file_that_is_not_used_is_named_with_what_to_add(tmp_path: Path) -> None:
    """From a laptop to a public server: the store is sealed with the key that its first start made."""
    store, file = memory_store(), tmp_path / "my data" / "gatepost.key"
    (generated,) = read(file)
    await check_key_ring(KeyRing([generated]), store, file=file)

    with pytest.raises(SettingsError) as refusal:
        await check_key_ring(KeyRing([NEW]), store, file=file)

    (sentence,) = refusal.value.sentences
    assert f"The store was sealed with the key {key_id(generated)}, which lies in {file}" in sentence
    assert generated not in sentence
    line = re.search(r"export (MCP_SEALING_KEYS=.*), and take", sentence)
    assert line is not None
    said = set_by_a_shell(line[1])
    assert said == f"{NEW} {generated}"
    await check_key_ring(KeyRing(said.split()), store, file=file)
    await check_key_ring(KeyRing([NEW]), store, file=file)


async def test_a_key_file_of_another_store_is_named(tmp_path: Path) -> None:
    """A store that was restored on a new machine, whose first start has made a key of its own."""
    store, file = memory_store(), tmp_path / "gatepost.key"
    await check_key_ring(KeyRing([OLD]), store, file=file)

    with pytest.raises(
        SettingsError, match=f"{file} holds .* put the key file that belongs to this store in its place"
    ):
        await check_key_ring(KeyRing(read(file)), store, file=file)


async def test_a_new_key_moves_to_the_front_and_the_old_one_leaves() -> None:
    store = memory_store()
    for ring in ([OLD], [OLD, NEW], [NEW, OLD], [NEW]):
        await check_key_ring(KeyRing(ring), store)
    assert await store.keys.sealing_key_id() == key_id(NEW)


async def test_of_two_that_start_at_once_with_different_keys_the_slower_refuses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = memory_store()

    async def look_before_the_other_has_noted_its_key() -> str | None:
        return None

    await check_key_ring(KeyRing([OLD]), store)
    monkeypatch.setattr(store.keys, "sealing_key_id", look_before_the_other_has_noted_its_key)
    with pytest.raises(SettingsError):
        await check_key_ring(KeyRing([NEW]), store)


def test_the_key_of_the_process_is_made_once() -> None:
    assert sealing_keys._key_of_this_process() == sealing_keys._key_of_this_process()


async def test_keys_in_the_store_are_sealed_anew_before_the_old_key_leaves() -> None:
    store = memory_store()
    key = generate_signing_key("ES256", secrets.token_bytes)
    old, both, new = KeyRing([OLD]), KeyRing([NEW, OLD]), KeyRing([NEW])
    await check_key_ring(old, store)
    sealed = sealed_signing_key(key, old, now=NOW, signs_from=NOW, random_bytes=secrets.token_bytes)
    assert await store.keys.begin_signing(sealed, now=NOW)

    await check_key_ring(both, store)

    (kept,) = await store.keys.signing_keys(now=NOW)
    assert new.is_current(kept.sealed_secret)
    assert open_signing_key(kept, new) == key
