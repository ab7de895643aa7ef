//! The wire format against bytes written by hand, and against bytes that no server should send.

use super::*;

fn call() -> Call<'static> {
    let mut body = Body::default();
    body.string("a");
    Call { destination: "d", path: "/p", interface: "i", member: "M", signature: "s", body }
}

#[test]
fn a_call_is_encoded_as_the_specification_says() {
    let bytes = encode(7, &call());
    assert_eq!(bytes[..4], [b'l', 1, 0, 1]);
    assert_eq!(bytes[4..8], 6u32.to_le_bytes(), "body length: 4 + 1 + 1");
    assert_eq!(bytes[8..12], 7u32.to_le_bytes());
    assert_eq!(bytes[16..18], [1, 1], "field PATH, one signature byte");
    assert_eq!(&bytes[16..27], b"\x01\x01o\0\x02\0\0\0/p\0");
    assert_eq!(bytes.len() % 8, 6, "the body begins at a multiple of 8");
    assert_eq!(&bytes[bytes.len() - 6..], b"\x01\0\0\0a\0");
}

#[test]
fn arrays_do_not_count_their_padding() {
    let mut body = Body::default();
    body.array(8, |elements| elements.u64(1));
    assert_eq!(body.0, [8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    let mut empty = Body::default();
    empty.array(8, |_| {});
    assert_eq!(empty.0, [0; 8]);
}

#[test]
fn what_was_encoded_is_read_back() {
    let mut bytes = encode(7, &call());
    let whole = bytes.clone();
    let message = take_message(&mut bytes).unwrap().unwrap();
    assert_eq!(message.member, "M");
    assert_eq!(message.signature, "s");
    assert_eq!(message.body().string().unwrap(), "a");
    assert!(bytes.is_empty());
    for len in 0..whole.len() {
        let mut part = whole[..len].to_vec();
        assert_eq!(take_message(&mut part), Ok(None), "{len} bytes are no message yet");
    }
}

#[test]
fn every_changed_byte_gives_an_answer() {
    let whole = encode(7, &call());
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            if let Ok(Some(message)) = take_message(&mut bytes) {
                let _ = message.body().string();
                let _ = message.body().u32();
            }
        }
    }
}

#[test]
fn big_endian_servers_are_understood() {
    let mut bytes = vec![b'B', REPLY, 0, 1, 0, 0, 0, 4, 0, 0, 0, 9, 0, 0, 0, 8];
    bytes.extend_from_slice(&[5, 1, b'u', 0, 0, 0, 0, 3]);
    bytes.extend_from_slice(&[0, 0, 0, 42]);
    let message = take_message(&mut bytes).unwrap().unwrap();
    assert_eq!((message.kind, message.reply_to, message.body().u32()), (REPLY, Some(3), Some(42)));
}

#[test]
fn the_handshake_ends_with_ok() {
    let mut bytes = b"DATA\r\nOK 0123\r\nrest".to_vec();
    assert_eq!(take_auth(&mut bytes), Ok(true));
    assert_eq!(bytes, b"rest");
    assert_eq!(take_auth(&mut b"DATA\r\nOK 01".to_vec()), Ok(false));
    assert!(take_auth(&mut b"REJECTED EXTERNAL\r\n".to_vec()).is_err());
}

#[test]
fn addresses_are_parsed_and_unescaped() {
    let list = Address::parse_list("tcp:host=x;unix:abstract=/tmp/a%20b,guid=1;unix:path=/run/user/1/bus");
    assert_eq!(list, [Address::Abstract(b"/tmp/a b".to_vec()), Address::Path("/run/user/1/bus".into())]);
    assert!(Address::parse_list("unix:path=%zz;unix:guid=1;;x").is_empty());
}
