"""The project's schedules against those of the ledger."""

from __future__ import annotations

from dataclasses import replace

from fp_events.schedules.syncing import changed, new, paused, resumed, sync

from .kit import spec, stored, utc

NOON = utc("2026-05-01T12:00:00")
LATER = utc("2026-05-01T13:02:00")
OURS = stored(NOON, name="ours", interval="5m")
ADDED = replace(OURS, schedule=replace(OURS.schedule, source="command"))


def test_a_new_schedule_begins_now() -> None:
    """What lies before its first sight is not missed."""
    found = sync({}, [OURS.schedule], LATER)

    assert {"ours": new(OURS.schedule, LATER)} == found.changes
    assert utc("2026-05-01T13:07:00") == new(OURS.schedule, LATER).next_fire_at


def test_an_unchanged_schedule_keeps_its_place() -> None:
    """After a restart what was missed is still missed: nothing is written."""
    assert {} == sync({"ours": OURS}, [OURS.schedule], LATER).changes


def test_other_inputs_keep_the_place_in_time() -> None:
    """What its runs are given may change without touching when they come."""
    other = replace(OURS.schedule, request={"inputs": {"line": "8"}})

    found = sync({"ours": OURS}, [other], LATER).changes["ours"]

    assert found is not None
    assert (other, OURS.next_fire_at, OURS.anchor_at) == (found.schedule, found.next_fire_at, found.anchor_at)


def test_another_rule_begins_now() -> None:
    """Missed instants of the old rule are dropped, and new ones are none."""
    other = replace(OURS.schedule, spec=spec(interval="7m"))

    found = sync({"ours": OURS}, [other], LATER).changes["ours"]

    assert found is not None
    assert utc("2026-05-01T13:09:00") == found.next_fire_at


def test_a_schedule_that_is_gone_is_deleted_and_an_added_one_stays() -> None:
    """Only what the project's files brought goes with them."""
    added = replace(ADDED, schedule=replace(ADDED.schedule, schedule_id="added"))

    assert {"ours": None} == sync({"ours": OURS, "added": added}, [], LATER).changes


def test_an_added_schedule_of_the_same_id_wins_unless_overwritten() -> None:
    """Nothing that an operator did is undone silently."""
    found = sync({"ours": ADDED}, [OURS.schedule], LATER)
    overwritten = sync({"ours": ADDED}, [OURS.schedule], LATER, overwrite=True)

    assert ({}, (OURS.schedule,)) == (found.changes, found.conflicts)
    assert ({"ours": new(OURS.schedule, LATER)}, ()) == (overwritten.changes, overwritten.conflicts)


def test_a_pause_outlasts_other_rules_until_overwritten() -> None:
    """A paused schedule is changed and stays paused; `overwrite` ends pauses."""
    stopped = {"ours": paused(OURS, NOON)}
    other = replace(OURS.schedule, spec=spec(interval="7m"))

    quiet = sync(stopped, [other], LATER).changes["ours"]
    loud = sync(stopped, [other], LATER, overwrite=True).changes["ours"]

    assert quiet is not None
    assert loud is not None
    assert (True, None) == (quiet.paused, quiet.next_fire_at)
    assert (False, utc("2026-05-01T13:09:00")) == (loud.paused, loud.next_fire_at)


def test_a_resumed_schedule_goes_on_from_now() -> None:
    """What would have fired during the pause is not made up for; intervals keep their beat."""
    found = resumed(paused(OURS, NOON), LATER)

    assert (False, utc("2026-05-01T13:05:00")) == (found.paused, found.next_fire_at)


def test_a_disabled_schedule_does_not_fire_and_begins_when_enabled() -> None:
    """`enabled: false` stops it, also when it is resumed; `true` begins anew."""
    off = changed(OURS, replace(OURS.schedule, enabled=False), NOON)
    on = changed(off, OURS.schedule, LATER)

    assert (None, None) == (off.next_fire_at, resumed(off, LATER).next_fire_at)
    assert utc("2026-05-01T13:07:00") == on.next_fire_at
