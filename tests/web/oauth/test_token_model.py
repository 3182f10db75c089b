"""One grant from code to end, beside a model that says which of its tokens are alive.

The model is the whole rule in forty lines: a code is spent once; a refresh token is spent once, answered again for two
minutes while its successor is unused, gets the newest of its family for as long as the operator allows, and anything
else ends the grant. Where a token was answered like that, the grant ends a refresh token's lifetime later at the most.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatepost.oauth.records import Client
from gatepost.stores.sql.sqlite import memory_store
from tests.web.oauth.token_harness import LIFETIMES, Answer, Harness, token_harness


@dataclass
class Generation:
    """One pair of tokens."""

    answer: Answer
    created_at: int
    spent_at: int | None = None


@dataclass
class Model:
    """What should be true of one grant."""

    code_ends: int
    refresh_reuse: int
    generations: list[Generation] = field(default_factory=list)
    ends: int = 0
    is_revoked: bool = False
    copies: list[Generation] = field(default_factory=list)
    """What was given to those who came with an old token."""

    def redeem(self, now: int) -> str:
        if now >= self.code_ends:
            return "refused"
        if self.generations:
            self.is_revoked = True
            return "refused"
        self.ends = now + LIFETIMES.grant
        return "new"

    def refresh(self, index: int, now: int) -> str:
        generation = self.generations[index]
        if self.is_revoked or now >= min(self.ends, generation.created_at + LIFETIMES.refresh_token):
            return "refused"
        if generation.spent_at is None:
            generation.spent_at = now
            return "new"
        if now - generation.spent_at <= LIFETIMES.refresh_window and self.generations[index + 1].spent_at is None:
            return "repeated"
        if self.refresh_reuse and now - generation.spent_at <= self.refresh_reuse:
            self.ends = min(self.ends, now + LIFETIMES.refresh_token)
            return "stale"
        self.is_revoked = True
        return "refused"

    def is_alive(self, generation: Generation, now: int) -> bool:
        return not self.is_revoked and now < min(self.ends, generation.created_at + LIFETIMES.access_token)


@dataclass
class Run:
    """A client that does as it is told, and the model that knows what should come of it."""

    harness: Harness
    client: Client
    stranger: Client
    code: str
    model: Model

    async def step(self, action: str, number: int) -> None:
        now = self.harness.now
        if action == "wait":
            self.harness.now += number
        elif action == "redeem":
            expected = self.model.redeem(now)
            response = await self.harness.redeem(self.client, self.code)
            self.compare(expected, response.status_code, response.json(), number)
        elif action == "redeem wrongly":
            response = await self.harness.redeem(self.client, self.code, redirect_uri="https://evil.example/")
            # A spent code is a replay, however wrong the rest is.
            assert response.status_code == 400
            if self.model.generations:
                self.model.redeem(now)
        elif self.model.generations:
            await self.use_refresh_token(action, number % len(self.model.generations))
        for generation in self.model.generations + self.model.copies:
            expected_alive = self.model.is_alive(generation, self.harness.now)
            assert await self.harness.is_alive(generation.answer["access_token"]) is expected_alive

    async def use_refresh_token(self, action: str, index: int) -> None:
        token = self.model.generations[index].answer["refresh_token"]
        if action == "refresh":
            expected = self.model.refresh(index, self.harness.now)
            response = await self.harness.refresh(self.client, token)
            self.compare(expected, response.status_code, response.json(), index)
        elif action == "steal":
            assert (await self.harness.refresh(self.stranger, token)).status_code == 400
        else:
            assert (await self.harness.refresh(self.client, token, scope="admin")).status_code == 400

    def compare(self, expected: str, status: int, answer: Answer, index: int) -> None:
        if expected == "refused":
            assert (status, answer["error"]) == (400, "invalid_grant")
        elif expected == "new":
            assert status == 200
            self.model.generations.append(Generation(answer, self.harness.now))
        elif expected == "stale":
            newest = self.model.generations[-1]
            assert newest.spent_at is None
            assert (status, answer["refresh_token"]) == (200, newest.answer["refresh_token"])
            assert answer["access_token"] not in [known.answer["access_token"] for known in self.model.generations]
            self.model.copies.append(Generation(answer, self.harness.now))
        else:
            successor = self.model.generations[index + 1].answer
            assert {**answer, "expires_in": 0} == {**successor, "expires_in": 0}


STEPS = st.one_of(
    st.tuples(st.sampled_from(["refresh", "refresh", "refresh", "steal", "ask for more"]), st.integers(0, 5)),
    st.tuples(st.just("wait"), st.sampled_from([1, 60, 120, 121, 1800, 3600, 50_000, 86_400])),
    st.tuples(st.sampled_from(["redeem", "redeem wrongly"]), st.just(0)),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(STEPS, max_size=25), st.sampled_from([0, 3600]))
@example([("refresh", 0), ("wait", 120), ("refresh", 0), ("refresh", 1), ("refresh", 0)], 0)
@example([("refresh", 0), ("wait", 121), ("refresh", 0), ("refresh", 1)], 0)
@example([("refresh", 0), ("wait", 60), ("redeem", 0), ("refresh", 1)], 0)
@example([("steal", 0), ("ask for more", 0), ("refresh", 0), ("steal", 0), ("refresh", 0)], 0)
@example([("refresh", 0), ("refresh", 1), ("refresh", 2), ("wait", 1800), ("refresh", 0), ("refresh", 3)], 3600)
@example([("refresh", 0), ("wait", 3600), ("refresh", 0), ("wait", 1), ("refresh", 0), ("refresh", 1)], 3600)
@example([("refresh", 0), ("wait", 1800), ("refresh", 0), ("refresh", 1), ("wait", 1800), ("refresh", 1)], 3600)
async def test_model_and_server_agree_on_which_tokens_are_alive(
    steps: list[tuple[str, int]], refresh_reuse: int
) -> None:
    lifetimes = replace(LIFETIMES, refresh_reuse=refresh_reuse)
    async with token_harness(memory_store(), lifetimes=lifetimes) as harness:
        client, stranger = await harness.register(), await harness.register()
        model = Model(harness.now + LIFETIMES.authorization_code, refresh_reuse)
        run = Run(harness, client, stranger, await harness.approve(client), model)
        for action, number in [("redeem", 0), *steps]:
            await run.step(action, number)
