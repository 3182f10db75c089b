"""Browser sessions, on every backend."""

from dataclasses import replace
from typing import Any

from gatepost.stores.conformance.records import NOW, fp, session, user
from gatepost.stores.contract.browser_sessions import SessionView
from gatepost.stores.contract.linked_logins import LinkedLogin, LoginKey
from gatepost.stores.contract.second_steps import SecondStep
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import User


async def test_a_session_is_found_as_it_was(store: Store) -> None:
    anonymous = session("anonymous", subject=None, provider=None, authenticated_at=None)
    await store.browser_sessions.start_session(session())
    await store.browser_sessions.start_session(anonymous)

    assert await store.browser_sessions.find_session(fp("session-1"), now=NOW) == SessionView(session(), None)
    assert await store.browser_sessions.find_session(fp("anonymous"), now=NOW) == SessionView(anonymous, None)


async def test_a_session_is_found_with_the_person_as_they_are_now(store: Store) -> None:
    await store.users.add_user(user())
    await store.browser_sessions.start_session(session())
    assert await store.browser_sessions.find_session(fp("session-1"), now=NOW) == SessionView(session(), user())

    await store.users.disable_user("user-1", now=NOW)
    await store.browser_sessions.start_session(session("later"))

    found = await store.browser_sessions.find_session(fp("later"), now=NOW)
    assert found == SessionView(session("later"), user(disabled_at=NOW))


async def test_a_session_is_absent_from_the_second_it_expires(store: Store) -> None:
    await store.browser_sessions.start_session(session())

    assert await store.browser_sessions.find_session(fp("session-1"), now=NOW + 3599) == SessionView(session(), None)
    assert await store.browser_sessions.find_session(fp("session-1"), now=NOW + 3600) is None
    assert await store.browser_sessions.find_session(fp("unknown"), now=NOW) is None


async def test_renewal_ends_the_session_that_it_replaces(store: Store) -> None:
    await store.browser_sessions.start_session(session("before", subject=None))
    await store.browser_sessions.start_session(session("bystander"))

    assert await store.browser_sessions.start_session(session("after"), replaces=fp("before")) is True

    assert await store.browser_sessions.find_session(fp("before"), now=NOW) is None
    assert await store.browser_sessions.find_session(fp("after"), now=NOW) == SessionView(session("after"), None)
    assert await store.browser_sessions.find_session(fp("bystander"), now=NOW) == SessionView(
        session("bystander"), None
    )


async def test_a_session_that_is_gone_cannot_be_replaced(store: Store) -> None:
    assert await store.browser_sessions.start_session(session(), replaces=fp("unknown")) is False

    assert await store.browser_sessions.find_session(fp("session-1"), now=NOW) is None


async def test_a_session_ends_once_and_for_all(store: Store) -> None:
    await store.browser_sessions.start_session(session())

    await store.browser_sessions.end_session(fp("session-1"))
    await store.browser_sessions.end_session(fp("session-1"))

    assert await store.browser_sessions.find_session(fp("session-1"), now=NOW) is None


async def test_of_sessions_in_which_nobody_is_logged_in_the_newest_are_kept(store: Store) -> None:
    async def start(name: str, **changes: Any) -> None:
        assert await store.browser_sessions.start_session(session(name, **changes), most_anonymous=2)

    await start("logged in", subject="user-1", provider="local", authenticated_at=NOW)
    for name in "abc":
        await start(name, subject=None)
    login = session("login", subject="user-1", provider="local", authenticated_at=NOW)
    assert await store.browser_sessions.start_session(login, replaces=fp("b"), most_anonymous=2)
    await start("d", subject=None)

    names = ("logged in", "a", "b", "c", "login", "d")
    kept = [name for name in names if await store.browser_sessions.find_session(fp(name), now=NOW) is not None]
    assert kept == ["logged in", "c", "login", "d"]


async def test_use_is_kept_and_never_set_back(store: Store) -> None:
    await store.browser_sessions.start_session(session())

    for now in (NOW, NOW + 600, NOW + 300):
        await store.browser_sessions.note_use(fp("session-1"), now=now)
    await store.browser_sessions.note_use(fp("unknown"), now=NOW + 900)

    used = session(last_used_at=NOW + 600)
    assert await store.browser_sessions.list_sessions("user-1", now=NOW, limit=10) == [used]


async def test_a_persons_sessions_are_listed_the_newest_first(store: Store) -> None:
    for name, begun in (("a", NOW), ("c", NOW + 2), ("b", NOW + 1)):
        await store.browser_sessions.start_session(session(name, created_at=begun))
    await store.browser_sessions.start_session(session("over", expires_at=NOW + 10))
    await store.browser_sessions.start_session(session("bobs", subject="user-2"))
    await store.browser_sessions.start_session(session("nobodys", subject=None))

    async def names(limit: int) -> list[bytes]:
        listed = await store.browser_sessions.list_sessions("user-1", now=NOW + 10, limit=limit)
        return [found.session_fingerprint for found in listed]

    assert await names(10) == [fp("c"), fp("b"), fp("a")]
    assert await names(2) == [fp("c"), fp("b")]


async def test_a_person_ends_one_session_or_all_others_and_nobody_elses(store: Store) -> None:
    for name in "abcd":
        await store.browser_sessions.start_session(session(name))
    await store.browser_sessions.start_session(session("bobs", subject="user-2"))

    async def left() -> list[str]:
        names = [*"abcd", "bobs"]
        return [name for name in names if await store.browser_sessions.find_session(fp(name), now=NOW) is not None]

    for foreign in ("bobs", "unknown"):
        assert await store.browser_sessions.end_sessions("user-1", only=fp(foreign)) == 0
    assert await store.browser_sessions.end_sessions("user-1", only=fp("a")) == 1
    assert await left() == ["b", "c", "d", "bobs"]
    assert await store.browser_sessions.end_sessions("user-1", but=fp("c")) == 2
    assert await left() == ["c", "bobs"]
    assert await store.browser_sessions.end_sessions("user-1") == 1
    assert await left() == ["bobs"]


async def test_no_session_begins_by_a_login_that_was_under_way_when_what_it_showed_ended(store: Store) -> None:
    """Each of these ends the person's sessions; a login that had been judged just before must not bring one back."""
    elsewhere = LoginKey("https://login.example", "583231")
    read = user()

    async def begins(of: User = read, **changes: Any) -> bool:
        """Say whether a login begins a session; of one that does not, the earlier session is left as it was."""
        before, after = session("before", subject=None), session("after", **changes)
        await store.browser_sessions.start_session(before)
        begun = await store.browser_sessions.start_session(after, replaces=fp("before"), of=of)
        left = [name for name in ("before", "after") if await store.browser_sessions.find_session(fp(name), now=NOW)]
        assert left == (["after"] if begun else ["before"])
        for name in ("before", "after"):
            await store.browser_sessions.end_session(fp(name))
        return begun

    assert not await begins()  # of nobody that there is
    await store.users.add_user(read)
    assert await begins()
    by_link: dict[str, Any] = {
        "provider": "login",
        "issuer": elsewhere.issuer,
        "external_subject": elsewhere.external_subject,
    }
    assert not await begins(**by_link)
    await store.linked_logins.link_login(LinkedLogin(*elsewhere, "user-1", linked_at=NOW))
    assert await begins(**by_link)
    await store.linked_logins.unlink_login("user-1", elsewhere, keeps=[LoginKey(read.issuer, read.external_subject)])
    assert not await begins(**by_link)

    assert await store.second_steps.set_up(SecondStep("user-1", "step-1", b"sealed", 1, NOW), recovery_codes=())
    assert not await begins()
    read = user(second_step="step-1")
    assert await begins(read)
    assert await store.users.change_password("ada", "$new")
    assert not await begins(read)
    read = replace(read, password_hash="$new")
    assert await begins(read)
    # Another hash of the same password ends nothing, but a login that was judged by the old one begins anew.
    sessions = len(await store.browser_sessions.list_sessions("user-1", now=NOW, limit=10))
    assert await store.users.rehash_password("user-1", "$newer", replaces="$new")
    assert not await store.users.rehash_password("user-1", "$newest", replaces="$new")
    assert len(await store.browser_sessions.list_sessions("user-1", now=NOW, limit=10)) == sessions
    assert not await begins(read)
    read = replace(read, password_hash="$newer")
    assert await begins(read)
    assert await store.users.disable_user("user-1", now=NOW)
    assert not await begins(read)
    assert not await begins(replace(read, disabled_at=NOW))
