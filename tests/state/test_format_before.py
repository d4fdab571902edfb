"""What the release before wrote (format 1) reads as it was meant: rows by name, what it lacks by its default."""

import base64

import numpy as np

from state.batch import remap
from state.decisions import RecordKind
from state.decisions import decode as decode_decisions
from state.frame import decode, encode
from state.schema import (
    OUTCOME,
    OUTCOME_CONTACT,
    OUTCOME_ERROR,
    EventType,
    Field,
    Kind,
    first_form,
    make_schema,
    schema_from_json,
)
from state.texts import texts_of

SCHEMA = (
    '[["profile",[["name",3,false,[]]]],["list",[["list",3,true,[]],["member",2,true,[]]]],["outcome"'
    ',[["partition",0,false,[]],["position",0,false,[]],["row",0,false,[]],["rule",0,false,[]],["stat'
    'e",0,false,[]],["gateway",3,false,[]],["error",3,false,[]]]],["visit",[["terminal",3,true,[]],["'
    'visit",3,false,[]],["open",2,false,[]],["cause",3,false,[]]]],["answer",[["partition",0,false,[]'
    '],["position",0,false,[]],["row",0,false,[]],["rule",0,false,[]],["card",3,false,[]],["answer",3'
    ',false,[]],["note",3,false,[]]]],["call",[["seconds",0,false,[]]]]]'
)
FRAME = (
    "Pf$iN0RaF2h!X$+000000{{R300000VPiCAH!w9}W-&7|VKFf>3IG5A00000CIA2c0{{R3AprmY00000dm?6KWn>~cIeoHiY"
    "Tyhn@H{<oyq@bthK6>MVb#~6-z@<E0003100000002Q}0RR9100000000000000000ja80000000001I(?4S2LJ#70RRC500"
    "000008I%000000001e`Un630000007V~^O?w8_xx3(NvV{36MgRZ+000000K4F8vV{36MgRZ+00000009610000000000000"
    "000J3dr;0!PDJOBUy000000Dk}g0000000000000000000000000000000000000aO400000000000000000961000000000"
    "00000008Ib@0000000000000000096100000000000000006lWNp6f-1h5!Hn000000CtjL)z_ilEdT%j000000096100000"
    "000000000000#g700000000000000000"
)
DECISIONS = (
    "L`6d}0{{R300000h!X$+00000FflSSG&MFiI5}ZrV`OD!0ssI20ssI20Xlt-)dv6o0y=$;)dv6o=mP)%00000&<6kj000002"
    "LJ#70000000000000000RR910ssI2O#lD@SO5S31poj500000000000ssI2000000RR910ssI20096B0RR"
)

PUSHED = schema_from_json(SCHEMA.encode())


def test_a_frame_of_the_release_before_has_its_append_time_as_log_time_and_its_positions() -> None:
    frame = decode(base64.b85decode(FRAME), {PUSHED.fingerprint: PUSHED}.__getitem__)

    assert (frame.append_ms, frame.sources, frame.clocks, frame.dedupe) == (5000, {"feed": 9}, {}, True)
    assert frame.batch is not None
    assert frame.batch.at_ms.tolist() == [1000, 2000, 3000]
    assert frame.batch.log_ms.tolist() == [5000, 5000, 5000]


def test_an_outcome_of_the_release_before_has_no_time_of_contact_under_the_schema_of_this_one() -> None:
    frame = decode(base64.b85decode(FRAME), {PUSHED.fingerprint: PUSHED}.__getitem__)
    assert frame.batch is not None
    schema = make_schema(PUSHED.types[0].fields, PUSHED.types[5:])
    assert schema.fingerprint != PUSHED.fingerprint

    ours = remap(frame.batch, schema)
    assert ours.type.tolist() == [0, schema.code("call"), OUTCOME]
    assert ours.present[2] == (1 << OUTCOME_ERROR + 1) - 1
    assert ours.cells[:OUTCOME_CONTACT, 2].tolist()[:5] == [0, 4, 1, 77, 1]
    assert decode(encode(frame), {PUSHED.fingerprint: PUSHED}.__getitem__).sources == {"feed": 9}


def test_records_of_the_release_before_are_decisions() -> None:
    batch = decode_decisions(base64.b85decode(DECISIONS))

    assert (batch.position, batch.append_ms, batch.book, batch.texts.count) == (3, 5000, "0123456789abcdef", 0)
    assert (batch.rule.tolist(), batch.channel.tolist()) == ([77, 88], [5, 0])
    assert batch.rule.dtype == np.dtype(np.int64)
    assert batch.kind.tolist() == [RecordKind.DECISION] * 2
    assert batch.log_ms.tolist() == [5000, 5000]
    assert (batch.of_position.tolist(), batch.of_row.tolist()) == ([0, 0], [0, 0])
    assert (batch.arm.tolist(), batch.probability.tolist()) == ([0, 0], [0.0, 0.0])
    assert (batch.facts.tolist(), batch.fact_start.tolist()) == ([7, 0], [0, 1, 2])


def test_a_batch_of_records_reads_back_as_it_was_written_with_its_texts() -> None:
    batch = decode_decisions(base64.b85decode(DECISIONS))
    batch.rule = np.array([1 << 40, 7])
    batch.kind = np.array([RecordKind.WITHDRAWAL, RecordKind.DECISION], np.uint8)
    batch.of_position, batch.of_row = np.array([2, 0]), np.array([9, 0], np.int32)
    batch.probability = np.array([0.25, 0.0], np.float32)
    batch.texts = texts_of([(7, "流量".encode()), (-1, b"")])

    back = decode_decisions(batch.encode())
    for name in ("kind", "row", "rule", "of_position", "of_row", "arm", "probability", "log_ms", "facts", "gate"):
        assert np.array_equal(getattr(back, name), getattr(batch, name)), name
    assert back.texts.pairs() == batch.texts.pairs()


def test_the_first_form_of_a_schema_is_what_the_first_release_made_of_the_book() -> None:
    book = make_schema((Field("name", Kind.STRING),), (EventType("call", (Field("seconds", Kind.INT),)),))

    assert first_form(book).fingerprint == PUSHED.fingerprint != book.fingerprint
