//! Frames that are decoded, and frames that are refused.

use super::*;

#[test]
fn frames_are_decoded() {
    let frame =
        Frame::decode(r#"{"type":"sync","ref":7,"epoch":"e","rooms":{"12":1057,"15":0}}"#).unwrap();
    assert_eq!(frame.reference, Some(Ref::Number(7)));
    let rooms = HashMap::from([(RoomId(12), 1057), (RoomId(15), 0)]);
    assert_eq!(
        frame.request,
        Request::Sync {
            epoch: Some("e".into()),
            rooms
        }
    );
    assert_eq!(
        Frame::decode(r#"{"type":"ping"}"#).unwrap().request,
        Request::Ping
    );
}

#[test]
fn numbers_are_read_in_every_spelling_and_names_in_one() {
    let id = Uuid::from_u128(0xABCD);
    for (text, request) in [
        (
            r#"{"type":"join","room_id":12.0,"rev":1e3}"#,
            Request::Join {
                room_id: RoomId(12),
                rev: Some(1_000),
                epoch: None,
            },
        ),
        (
            r#"{"type":"sync","rooms":{"12":1.0e1,"15":-0}}"#,
            Request::Sync {
                epoch: None,
                rooms: HashMap::from([(RoomId(12), 10), (RoomId(15), 0)]),
            },
        ),
        (
            r#"{"type":"message","room_id":1,"id":"00000000-0000-0000-0000-00000000ABCD","content":"x","reply_to":20E-1}"#,
            Request::Message {
                room_id: RoomId(1),
                id,
                content: "x".into(),
                reply_to: Some(2),
            },
        ),
    ] {
        assert_eq!(Frame::decode(text).unwrap().request, request, "{text}");
    }
    for (reference, number) in [
        ("7.0", 7),
        ("-7", -7),
        ("-7e0", -7),
        ("-0", 0),
        ("9007199254740991", 9_007_199_254_740_991),
        ("-9007199254740991.0", -9_007_199_254_740_991),
    ] {
        let text = format!(r#"{{"type":"ping","ref":{reference}}}"#);
        let reference = Frame::decode(&text).unwrap().reference;
        assert_eq!(reference, Some(Ref::Number(number)), "{text}");
    }
}

#[test]
fn other_numbers_and_names_are_refused() {
    for (text, field, code) in [
        (r#"{"type":"sync","rooms":{"1.0":2}}"#, "rooms", "type"),
        (r#"{"type":"sync","rooms":{"1e1":2}}"#, "rooms", "type"),
        (r#"{"type":"sync","rooms":{"-0":2}}"#, "rooms", "type"),
        (r#"{"type":"sync","rooms":{"01":2}}"#, "rooms", "type"),
        (r#"{"type":"sync","rooms":{"":2}}"#, "rooms", "type"),
        (r#"{"type":"sync","rooms":{"x":2}}"#, "rooms", "type"),
        (
            r#"{"type":"sync","rooms":{"9007199254740992":2}}"#,
            "rooms",
            "type",
        ),
        (r#"{"type":"sync","rooms":{"1":2.5}}"#, "rooms.1", "type"),
        (r#"{"type":"sync","rooms":{"1":2,"1":3}}"#, "1", "duplicate"),
        (
            r#"{"type":"join","room_id":9007199254740992}"#,
            "room_id",
            "type",
        ),
        (r#"{"type":"join","room_id":1,"rev":1e16}"#, "rev", "type"),
        (r#"{"type":"read","room_id":1,"seq":1.5}"#, "seq", "type"),
        (r#"{"type":"ping","ref":1.5}"#, "ref", "type"),
        (r#"{"type":"ping","ref":9007199254740992}"#, "ref", "type"),
        (r#"{"type":"ping","ref":-9007199254740992}"#, "ref", "type"),
        (r#"{"type":"ping","ref":1e300}"#, "ref", "type"),
        (r#"{"type":"ping","ref":true}"#, "ref", "type"),
    ] {
        let bad = Frame::decode(text).unwrap_err();
        assert!(
            bad.error.field.starts_with(field) && bad.error.code == code,
            "{text}: {bad:?}"
        );
        assert_eq!(bad.reference, None, "{text}");
    }
}

#[test]
fn bad_frames_name_the_field_and_keep_the_ref() {
    for (text, field, code) in [
        (r#"{"type":"join","ref":"a"}"#, "room_id", "missing"),
        (
            r#"{"type":"join","ref":"a","room_id":"12"}"#,
            "room_id",
            "type",
        ),
        (
            r#"{"type":"join","ref":"a","room_id":-1}"#,
            "room_id",
            "type",
        ),
        (
            r#"{"type":"join","ref":"a","room_id":1,"seq":4}"#,
            "seq",
            "unknown",
        ),
        (
            r#"{"type":"join","ref":"a","room_id":1,"colour":4}"#,
            "colour",
            "unknown",
        ),
        (
            r#"{"type":"join","ref":"a","room_id":1,"room_id":1}"#,
            "room_id",
            "duplicate",
        ),
        (r#"{"type":"dance","ref":"a"}"#, "type", "unknown"),
        (r#"{"ref":"a"}"#, "type", "missing"),
        (
            r#"{"type":"read","ref":"a","room_id":1,"seq":1e400}"#,
            "seq",
            "type",
        ),
    ] {
        let bad = Frame::decode(text).unwrap_err();
        let told = (&*bad.error.field, bad.error.code);
        assert_eq!(told, (field, code), "{text}: {bad:?}");
        assert!(
            bad.reference == Some(Ref::Text("a".into()))
                || code == "duplicate"
                || text.contains("1e400"),
            "{text}: {bad:?}"
        );
    }
    let long = format!(
        r#"{{"type":"dance","colour":4,"ref":"{}"}}"#,
        "a".repeat(65)
    );
    assert_eq!(Frame::decode(&long).unwrap_err().reference, None);
    for text in [
        "",
        "[]",
        "null",
        "7",
        "{",
        "{}{}",
        "\"\\ud800\"",
        "{\"type\":\"ping\"} x",
    ] {
        assert!(Frame::decode(text).is_err(), "{text}");
    }
}
