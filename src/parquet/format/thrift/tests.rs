//! The codec by records of its own.

use super::*;

record! {
    /// A test record.
    pub struct Sample {
        1: required a: i32,
        2: optional b: bool,
        20: optional c: Vec<i64>,
        21: optional d: Vec<bool>,
        22: optional e: String,
    }
}

fn sample() -> Sample {
    Sample {
        a: -5, b: Some(false), c: Some((0..20).collect()), d: Some(vec![true, false, true]), e: Some("hé".into())
    }
}

#[test]
fn a_record_round_trips_with_short_and_long_heads() {
    let bytes = encode(&sample());
    // 1: i32 zigzag(-5) = 9; 2: bool false in its head; 20: long form, id zigzag(20) = 40.
    assert_eq!(bytes.first_chunk(), Some(&[0x15, 9, 0x12, 0x09, 40]));
    let (back, used) = decode::<Sample>(&bytes, 0).expect("decodes");
    assert_eq!(back, sample());
    assert_eq!(used, bytes.len());
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = encode(&sample());
    for n in 0..bytes.len() {
        assert!(decode::<Sample>(&bytes[..n], 0).is_err(), "{n} of {} bytes", bytes.len());
    }
}

#[test]
fn unknown_fields_are_skipped_and_missing_ones_named() {
    // Field 3 of type map<i32, binary> with one entry, then field 1 in long form.
    let bytes = [0x3b, 1, 0x58, 2, 1, b'x', 0x05, 2, 14, 0];
    assert_eq!(decode::<Sample>(&bytes, 0).expect("decodes").0.a, 7);
    let e = decode::<Sample>(&[0], 40).expect_err("a is required");
    assert_eq!(e.to_string(), "at byte 41: Sample has no a");
}

#[test]
fn nesting_and_list_sizes_are_bounded() {
    // Unknown structs in structs without end.
    assert!(decode::<Sample>(&[0x3c; 1000], 0).is_err());
    // A list that claims 2^40 elements.
    let mut bytes = vec![0x39, 0xf5];
    put_varint(&mut bytes, 1 << 40);
    assert!(decode::<Sample>(&bytes, 0).expect_err("too long").to_string().contains("list of"));
}

open_enum! {
    /// A test enum.
    pub enum Colour { Red = 0, Blue = 2, }
}

#[test]
fn an_enum_keeps_values_of_the_future() {
    let (colours, _) =
        decode::<Vec<Colour>>(&encode(&vec![Colour::Red, Colour::Unknown(77), Colour::Blue]), 0).expect("decodes");
    assert_eq!(colours, [Colour::Red, Colour::Unknown(77), Colour::Blue]);
}
