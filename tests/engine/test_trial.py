"""Trials: texts of a rule shown with sample values, and sent to test numbers by the running engine, uncounted."""

from typing import Any

import orjson

from tests.engine.conftest import Make
from tests.engine.engines import Engine, wait_for
from tests.engine.world import BASE_MS, BOOK, call

MINE, OTHER = "8613800000042", "8613800000043"
TOKEN = 'token = { env = "OPPORTUNE_TEST_TOKEN" }\n'
NUMBERS = f'[dispatch]\ntest_numbers = ["{MINE}"]\n'
ARMS = 'arms = {{ warm = {{ share = "50%", text = {{ sms = "{text}" }} }}, plain = "50%" }}\n'


def with_arms(book: str, text: str) -> str:
    return book.replace('id = "chatty"\n', 'id = "chatty"\n' + ARMS.format(text=text))


def written(engine: Engine) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (engine.data / "trials.ndjson").read_bytes().splitlines()]


def test_every_text_is_shown_with_sample_values_its_parts_and_its_alphabet(make: Make) -> None:
    engine = make(with_arms(BOOK, "亲" + "x" * 80))

    care, chatty = (engine.command("trial", name) for name in ("long-care", "chatty"))

    assert care.exit == chatty.exit == 0, care.err + chatty.err
    assert care.out.splitlines() == [
        "desk: 19 characters",
        "  long call number 12",
        "sms: 1 part in gsm7, 30 characters",
        "  Dear name, long call number 12",
    ]
    assert chatty.out.splitlines()[::2] == [
        "sms: 1 part in gsm7, 16 characters",
        "sms, arm warm: 2 parts in ucs2, 81 characters",
    ]


def test_values_are_those_that_are_given_or_those_that_the_rule_read_of_a_subscriber(make: Make) -> None:
    engine = make(BOOK)
    engine.put("day.ndjson", call(8613800000001, BASE_MS) + call(8613800000001, BASE_MS + 1))
    engine.drain()

    given = engine.command("trial", "long-care", "--channel", "sms", "--value", "name=Li", "--value", "long_calls=3")
    like = engine.command("trial", "long-care", "--channel", "sms", "--like", "8613800000001")
    wrong = engine.command("trial", "long-care", "--value", "long_calls=many")
    stranger = engine.command("trial", "long-care", "--like", "8613800000009")

    assert given.out.splitlines()[1] == "  Dear Li, long call number 3"
    assert like.out.splitlines()[1] == "  Dear , long call number 2"
    assert "long_calls='many' must be a value of kind int" in wrong.err
    assert "was never a candidate" in stranger.err
    assert wrong.exit == stranger.exit == 1


def test_a_trial_goes_to_test_numbers_alone_and_nothing_counts_it(make: Make) -> None:
    engine = make(with_arms(BOOK, "warm"), clock="wall", more=NUMBERS)
    engine.start()

    sent = [engine.command("trial", "chatty", "--to", MINE) for _ in range(2)]
    refused = engine.command("trial", "chatty", "--to", OTHER)

    assert [one.exit for one in sent] == [0, 0], sent[0].err
    assert refused.exit == 1
    assert f"number={OTHER} must be one of dispatch.test_numbers" in refused.err
    texts = [(one["to"], one["text"]) for one in engine.spooled()]
    assert texts == [(int(MINE), "you like to talk"), (int(MINE), "warm")] * 2
    assert all(one["id"].startswith("trial-") for one in engine.spooled())
    assert engine.records() == []
    assert engine.status()["outcomes"] == {}
    notes = written(engine)
    assert [one["state"] for one in notes if "state" in one] == ["accepted"] * 4
    assert [one["text"] for one in notes if "text" in one] == ["you like to talk", "warm"] * 2
    assert oct((engine.data / "trials.ndjson").stat().st_mode & 0o777) == "0o640"


def test_a_trial_needs_the_control_token_and_a_channel_of_texts(make: Make) -> None:
    engine = make(BOOK, clock="wall", more=NUMBERS)
    config = engine.folder / "config.toml"
    config.write_text(config.read_text().replace("port = 0\n", "port = 0\n" + TOKEN, 1))
    engine.env = {"OPPORTUNE_TEST_TOKEN": "secret"}
    engine.start()
    body = {"rule": "x", "channel": "desk", "number": MINE, "text": "t"}
    headers = {"Content-Type": "application/json"}

    nobody = engine.post("/trial", orjson.dumps(body), **headers)
    desk = engine.post("/trial", orjson.dumps(body), Authorization="Bearer secret", **headers)

    assert nobody[0] == 401
    assert desk[0] == 400
    assert b"must be a channel of texts" in desk[2]
    assert not (engine.data / "trials.ndjson").exists()
    wait_for(lambda: engine.command("trial", "chatty", "--to", MINE).exit == 0, "the trial")
