"""One customer's data: exported whole, erased by command, and an opt-out that outlives it."""

from typing import Any

import orjson

from tests.engine.conftest import Make
from tests.engine.engines import wait_for
from tests.engine.world import BASE_MS, BOOK, call, joined, line

FIRST, OTHER = 8613800000001, 8613800000002
MINUTE_MS = 60_000


def exported(engine: Any, number: int) -> list[dict[str, Any]]:
    """The lines of an export."""
    process = engine.command("customer", "export", str(number))
    assert process.exit == 0, process.err
    return [orjson.loads(one) for one in process.out.splitlines()]


def of_kind(lines: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in lines if one["kind"] == kind]


def filled(make: Make) -> Any:
    """An engine that knows two customers, one with a name, a history and decisions."""
    engine = make(book=BOOK + "\n[lists.tested]\n")
    profile = line(type="profile", msisdn=FIRST, time=BASE_MS, name="A")
    engine.put("1.ndjson", joined([profile, *(call(one, BASE_MS + 1) for one in (FIRST, OTHER))]))
    engine.drain()
    return engine.start()


def test_an_export_holds_state_contacts_lists_and_decisions_of_one_customer_alone(make: Make) -> None:
    engine = filled(make)
    assert engine.command("lists", "add", "tested", str(FIRST)).exit == 0
    lines = exported(engine, FIRST)

    (state,) = of_kind(lines, "state")
    assert state["values"] == {"name": "A", "long_calls": 1, "spent": 0}
    assert state["lists"] == ["tested"]
    (decision,) = of_kind(lines, "decision")
    assert (decision["rule"], decision["subscriber"]) == ("long-care", FIRST)
    assert decision["sent"]
    assert [one["decision"] for one in of_kind(lines, "contact")] == [decision["id"]]
    assert str(OTHER) not in "".join(map(str, lines))


def test_a_membership_that_ends_says_when_and_a_kill_changes_nothing_of_it(make: Make) -> None:
    engine = filled(make)
    assert engine.command("lists", "add", "tested", str(FIRST), "--for", "90d").exit == 0
    assert engine.command("lists", "add", "optout", str(FIRST), "--until", "2099-12-31T00:00:00+08:00").exit == 0
    assert engine.command("lists", "add", "optout", str(OTHER), "--for", "1d", "--until", "2099-12-31").exit == 1
    (before,) = of_kind(exported(engine, FIRST), "state")
    engine.kill()
    engine.start()
    (state,) = of_kind(exported(engine, FIRST), "state")

    assert sorted(state["lists"]) == ["optout", "tested"]
    assert state["list_ends_ms"].keys() == {"optout", "tested"}
    assert state["list_ends_ms"]["optout"] == 4_102_329_600_000
    assert state["list_ends_ms"]["tested"] >= BASE_MS + 90 * 24 * 60 * MINUTE_MS
    assert state == before
    assert of_kind(exported(engine, OTHER), "state")[0]["lists"] == []


def test_after_erasing_nothing_is_known_but_the_opt_out_and_a_restart_knows_no_more(make: Make) -> None:
    engine = filled(make)
    for name in ("tested", "optout"):
        assert engine.command("lists", "add", name, str(FIRST)).exit == 0
    before = exported(engine, OTHER)
    assert engine.command("customer", "erase", "+86 138-0000-0001").exit == 0

    for _ in range(2):
        lines = exported(engine, FIRST)
        (state,) = of_kind(lines, "state")
        assert state["values"] == {"long_calls": 0, "spent": 0}
        assert state["lists"] == ["optout"]
        assert of_kind(lines, "contact") == []
        assert exported(engine, OTHER) == before
        engine.kill()
        engine.start()


def test_a_number_that_is_none_and_one_that_nobody_has_are_told_apart(make: Make) -> None:
    engine = filled(make)
    wrong = engine.command("customer", "export", "86x")
    assert (wrong.exit, wrong.err) == (1, "opportune customer: msisdn='86x' must be up to 15 digits\n")
    assert exported(engine, 8613999999999) == [
        {
            "kind": "state",
            "subscriber": 8613999999999,
            "values": {},
            "lists": [],
            "list_ends_ms": {},
            "visit_since_ms": None,
        }
    ]
    status, _, body = engine.post("/customers/erase", b'{"subscriber": "x"}', **{"Content-Type": "application/json"})
    assert (status, orjson.loads(body)["error"]) == (400, "subscriber: number='x' must be up to 15 digits")
    page, _, _ = engine.post("/customers/export", b'{"subscriber": 1}', Origin="http://elsewhere")
    assert page == 401, "a page in a browser learns nothing"


def test_a_customer_who_opts_out_at_the_desk_is_on_the_list_and_gets_one_confirmation(make: Make) -> None:
    engine = make(clock="wall", more='[dispatch]\noptout_confirmation = "no more texts"\n').start()
    headers = {"Content-Type": "application/json"}
    body = orjson.dumps({"terminal": "hall-1", "subscriber": FIRST})
    status, _, opened = engine.post("/desk/visits", body, **headers)
    assert status == 201
    path = f"/desk/visits/{orjson.loads(opened)['visit']}/optout"
    assert [engine.post(path, b"", **headers)[0] for _ in range(2)] == [204, 204]

    (state,) = of_kind(exported(engine, FIRST), "state")
    assert state["lists"] == ["optout"]
    wait_for(engine.spooled, "the confirmation")
    assert [(one["to"], one["text"]) for one in engine.spooled()] == [(FIRST, "no more texts")]


def test_a_clerk_may_type_a_national_number_where_the_plan_has_it(make: Make) -> None:
    engine = make(clock="wall", more='[numbers]\ncountry = "86"\n').start()
    headers = {"Content-Type": "application/json"}
    for typed in ("138 0000 0001", "013800000001", "+86-138-0000-0001"):
        body = orjson.dumps({"terminal": "hall-1", "number": typed})
        assert engine.post("/desk/visits", body, **headers)[0] == 201
        page = exported(engine, FIRST)
        assert of_kind(page, "state")[0]["visit_since_ms"] is not None
    nobody = orjson.dumps({"terminal": "hall-1", "number": "0999"})
    status, _, refused = engine.post("/desk/visits", nobody, **headers)
    assert (status, orjson.loads(refused)["text"][:7]) == (400, "number:")
