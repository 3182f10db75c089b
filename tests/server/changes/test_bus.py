from __future__ import annotations

from gatepost.server.changes.bus import Change, LocalChanges


def test_every_listener_is_told_until_it_stops() -> None:
    bus, first, second = LocalChanges(), list[Change](), list[Change]()
    stop_first = bus.listen(first.append)
    bus.listen(second.append)

    bus.publish(Change("tools"))
    stop_first()
    stop_first()
    bus.publish(Change("resource", uri="note://1"))

    assert first == [Change("tools")]
    assert second == [Change("tools"), Change("resource", uri="note://1")]


def test_a_change_that_nobody_listens_to_is_gone() -> None:
    bus, late = LocalChanges(), list[Change]()
    bus.publish(Change("prompts"))
    bus.listen(late.append)
    bus.publish(Change("tools"))

    assert late == [Change("tools")]


def test_who_listens_to_own_changes_hears_of_none_that_was_delivered() -> None:
    bus, listener, own = LocalChanges(), list[Change](), list[Change]()
    bus.listen(listener.append)
    stop = bus.listen(own.append, is_for_own=True)

    bus.publish(Change("tools"))
    bus.deliver(Change("prompts"))
    stop()
    bus.publish(Change("resources"))

    assert listener == [Change("tools"), Change("prompts"), Change("resources")]
    assert own == [Change("tools")]
