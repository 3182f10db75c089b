from __future__ import annotations

import asyncio
import threading
import unicodedata
from typing import Literal

import pytest
from argon2.exceptions import InvalidHashError

from gatepost.identity import passwords
from gatepost.identity.password_workers import password_workers
from gatepost.identity.passwords import PasswordRefused, hash_password, password_matches
from tests.patience import PATIENCE

PASSWORD = "correct horse battery"
EASY = (
    "This password is too easy to guess: it is among the common ones, a pattern, or made of the username. A few words "
    "in a row that have nothing to do with each other do well."
)

GUESSED = [
    "passwordpassword",
    "Password1234",
    "qwertyuiop12",
    "aaaaaaaaaaaa",
    "121212343434",
    "abcdefghijklm",
    "Ada.Lovelace",
    "ada.lovelace1",
    "gatepostgatepost",
    "password" * 32,
]

# A letter under marks whose order composing has to sort: the time grows with the square of their number.
HEAP = "a" + "\u0315" * 15_950 + "\u0300" * 7_975 + "\u0323" * 7_975


@pytest.fixture
def only_short_texts_are_composed(monkeypatch: pytest.MonkeyPatch) -> None:
    compose = unicodedata.normalize

    def normalize(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
        assert len(text) <= 2_000
        return compose(form, text)

    monkeypatch.setattr("unicodedata.normalize", normalize)


def test_a_hash_is_argon2id_with_the_cost_of_rfc_9106() -> None:
    """RFC 9106 section 4, the second recommended option."""
    hashed = hash_password(PASSWORD)
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert password_matches(hashed, PASSWORD)
    assert PASSWORD not in hashed


def test_the_hash_that_is_nobody_s_costs_what_a_real_one_costs() -> None:
    real, nobodys = hash_password(PASSWORD).split("$"), passwords._nobodys_hash().split("$")
    assert real[:4] == nobodys[:4]
    assert [len(part) for part in real] == [len(part) for part in nobodys]


@pytest.mark.usefixtures("cheap_hashing")
class TestWithCheapHashing:
    def test_each_hash_has_a_salt_of_its_own(self) -> None:
        assert hash_password(PASSWORD) != hash_password(PASSWORD)

    @pytest.mark.parametrize("other", ["", "Correct horse battery", PASSWORD + " ", " " + PASSWORD, "x" * 300])
    def test_another_password_does_not_match(self, other: str) -> None:
        assert not password_matches(hash_password(PASSWORD), other)

    def test_nobody_matches_nothing(self) -> None:
        assert not password_matches(None, PASSWORD)
        assert not password_matches(None, "")

    def test_nobody_costs_a_whole_verification(self, monkeypatch: pytest.MonkeyPatch) -> None:
        verified: list[str] = []

        class Hasher:
            def verify(self, password_hash: str, password: str) -> bool:
                del password
                verified.append(password_hash)
                return True

        monkeypatch.setattr(passwords, "_hasher", Hasher)
        assert not password_matches(None, PASSWORD)
        assert password_matches("$some-hash", PASSWORD)
        assert verified == [passwords._nobodys_hash(), "$some-hash"]

    @pytest.mark.usefixtures("only_short_texts_are_composed")
    def test_a_heap_of_marks_is_nobodys_password_and_costs_a_whole_verification(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        verified: list[tuple[str, str]] = []

        class Hasher:
            def verify(self, password_hash: str, password: str) -> bool:
                verified.append((password_hash, password))
                return True

        monkeypatch.setattr(passwords, "_hasher", Hasher)
        assert not password_matches("$some-hash", HEAP)
        assert verified == [(passwords._nobodys_hash(), "")]

    def test_a_composed_and_a_decomposed_letter_are_one(self) -> None:
        assert password_matches(hash_password("Zoe\u0308 likes horses"), "Zo\u00eb likes horses")

    def test_nothing_is_trimmed(self) -> None:
        hashed = hash_password("  two spaces  ")
        assert password_matches(hashed, "  two spaces  ")
        assert not password_matches(hashed, "two spaces")

    def test_lengths_count_after_normalising(self) -> None:
        """Typed, the first is 12 characters; put together, 10. The second is 268 and 256."""
        with pytest.raises(PasswordRefused):
            hash_password("e\u0308e\u0308 a horse")
        longest = "e\u0308" * 12 + "a horse, a battery " * 12 + "and 16 more here"
        assert password_matches(hash_password(longest), longest)

    @pytest.mark.parametrize("password", ["a horse, a 2", ("a horse, a battery " * 14)[:256]])
    def test_the_shortest_and_the_longest_are_taken(self, password: str) -> None:
        assert password_matches(hash_password(password), password)

    @pytest.mark.parametrize(
        ("password", "sentence"),
        [
            ("", "A password needs at least 12 characters; a few words in a row do well."),
            ("a horse 11!", "A password needs at least 12 characters; a few words in a row do well."),
            ("abcde" * 51 + "ab", "A password has at most 256 characters."),
            (HEAP, "A password has at most 256 characters."),
            ("correct\thorse", "A password cannot contain control characters, such as a tab."),
            ("correct\x00horse", "A password cannot contain control characters, such as a tab."),
            ("correct\udcffhorse", "A password cannot contain control characters, such as a tab."),
            *((guessed, EASY) for guessed in GUESSED),
        ],
    )
    @pytest.mark.usefixtures("only_short_texts_are_composed")
    def test_what_cannot_be_a_password_is_told_why(self, password: str, sentence: str) -> None:
        with pytest.raises(PasswordRefused) as refused:
            hash_password(password, username="ada.lovelace")
        assert str(refused.value) == sentence

    def test_a_hash_that_is_none_is_a_fault_and_not_a_wrong_password(self) -> None:
        with pytest.raises(InvalidHashError):
            password_matches("not a hash", PASSWORD)


async def test_hashing_runs_beside_the_event_loop_two_at_a_time() -> None:
    running: list[str] = []
    highest = 0
    lock = threading.Lock()
    both = threading.Barrier(2)

    def work() -> str:
        nonlocal highest
        name = threading.current_thread().name
        with lock:
            running.append(name)
            highest = max(highest, len(running))
        both.wait(timeout=PATIENCE)
        with lock:
            running.remove(name)
        return name

    names = await asyncio.gather(*(password_workers().run(work) for _ in range(6)))
    assert highest == 2
    assert {name.rpartition("_")[0] for name in names} == {"gatepost-passwords"}
