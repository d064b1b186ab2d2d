//! A schema from a sample of records.
//!
//! | the sample's values (nulls apart) | column |
//! |---|---|
//! | true, false | `bool` |
//! | integers of 64 bits | `int64` |
//! | numbers | `float64` |
//! | text, all of it RFC 3339 with a zone | `timestamp` |
//! | text | `utf8` |
//! | objects, arrays, larger integers, or several of the above | `json` |
//! | none at all | `json`, which any later value fits |
//!
//! Columns stand in the order in which the sample first has them. Every one is nullable but the event time's: a sample
//! cannot prove that later records always have a value, and a record without an event time is bad anyway.

use std::fmt;

use hashbrown::HashMap;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::schema::{FieldType, RowField, RowSchema};
use super::time;
use crate::error::{Error, Result};

/// Gathers what a sample holds.
#[derive(Debug, Default)]
pub(crate) struct Inference {
    fields: Vec<(String, Seen)>,
    by_name: HashMap<String, usize>,
    records: usize,
}

/// The kinds of value that a field was seen with.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    bools: bool,
    ints: bool,
    floats: bool,
    times: bool,
    other_text: bool,
    others: bool,
}

impl Inference {
    /// Takes one record; one that is no object tells nothing.
    pub(crate) fn add(&mut self, record: &[u8]) {
        let Ok(Fields(fields)) = serde_json::from_slice(record) else { return };
        self.records += 1;
        for (name, kind) in fields {
            let at = *self.by_name.entry_ref(&name).or_insert_with(|| {
                self.fields.push((name.clone(), Seen::default()));
                self.fields.len() - 1
            });
            let Some((_, seen)) = self.fields.get_mut(at) else { continue };
            match kind {
                Kind::Null => {}
                Kind::Bool => seen.bools = true,
                Kind::Int => seen.ints = true,
                Kind::Float => seen.floats = true,
                Kind::Time => seen.times = true,
                Kind::Text => seen.other_text = true,
                Kind::Other => seen.others = true,
            }
        }
    }

    /// The schema of what was seen, with a column that holds the event time.
    pub(super) fn finish(self, event_time: &str) -> Result<RowSchema> {
        self.check()?;
        if !self.by_name.contains_key(event_time) {
            let names: Vec<&str> = self.fields.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Error::invalid(format!(
                "no record has this column, which should hold the event time; there are {}",
                names.join(", ")
            ))
            .in_column(event_time));
        }
        let fields = self.fields.into_iter().map(|(name, seen)| {
            let is_event_time = name == event_time;
            // What is among them and is no time makes a bad record of its own.
            let kind = match seen {
                Seen { times: true, .. } if is_event_time => FieldType::Timestamp { unit: None },
                Seen { ints: true, .. } if is_event_time => FieldType::Int64,
                seen => seen.kind(),
            };
            RowField { name, kind, nullable: !is_event_time }
        });
        RowSchema::new(fields.collect())
    }

    /// The schema of what was seen, when none of it is meant to be the event time.
    #[cfg(feature = "cli")]
    pub(crate) fn finish_without_event_time(self) -> Result<RowSchema> {
        self.check()?;
        let fields = self.fields.into_iter().map(|(name, seen)| RowField { name, kind: seen.kind(), nullable: true });
        RowSchema::new(fields.collect())
    }

    fn check(&self) -> Result<()> {
        if self.records == 0 {
            return Err(Error::invalid(
                "the source has no record to infer the columns from; name them with a schema, or come back when it has one",
            ));
        }
        Ok(())
    }
}

impl Seen {
    fn kind(self) -> FieldType {
        let numbers = self.ints || self.floats;
        let text = self.times || self.other_text;
        match (self.bools, numbers, text, self.others) {
            (true, false, false, false) => FieldType::Bool,
            (false, true, false, false) if self.floats => FieldType::Float64,
            (false, true, false, false) => FieldType::Int64,
            (false, false, true, false) if self.other_text => FieldType::Utf8,
            (false, false, true, false) => FieldType::Timestamp { unit: None },
            _ => FieldType::Json,
        }
    }
}

/// The fields of a record, by the kind of their values.
struct Fields(Vec<(String, Kind)>);

enum Kind {
    Null,
    Bool,
    Int,
    Float,
    Time,
    Text,
    Other,
}

impl<'a> Deserialize<'a> for Fields {
    fn deserialize<D: Deserializer<'a>>(json: D) -> Result<Fields, D::Error> {
        struct FieldsVisitor;
        impl<'a> Visitor<'a> for FieldsVisitor {
            type Value = Fields;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    if fields.len() == FIELDS_MAX {
                        return Err(A::Error::custom("too many fields"));
                    }
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        json.deserialize_map(FieldsVisitor)
    }
}

impl<'a> Deserialize<'a> for Kind {
    fn deserialize<D: Deserializer<'a>>(json: D) -> Result<Kind, D::Error> {
        struct KindVisitor;
        impl<'a> Visitor<'a> for KindVisitor {
            type Value = Kind;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E>(self) -> Result<Kind, E> {
                Ok(Kind::Null)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Kind, E> {
                Ok(Kind::Bool)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Kind, E> {
                Ok(Kind::Int)
            }
            fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
                Ok(if i64::try_from(value).is_ok() { Kind::Int } else { Kind::Other })
            }
            fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
                Ok(if value == 0.0 && value.is_sign_negative() { Kind::Int } else { Kind::Float })
            }
            fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
                Ok(if time::parse_rfc3339(text).is_some() { Kind::Time } else { Kind::Text })
            }
            fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Kind, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Kind::Other)
            }
            fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Kind, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Kind::Other)
            }
        }
        json.deserialize_any(KindVisitor)
    }
}

/// A record with more fields than this is not looked at.
const FIELDS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn infer(records: &[&str]) -> Result<Vec<(String, String, bool)>> {
        let mut inference = Inference::default();
        records.iter().for_each(|record| inference.add(record.as_bytes()));
        let schema = inference.finish("t")?;
        Ok(schema.fields().iter().map(|f| (f.name.clone(), f.kind.name(), f.nullable)).collect())
    }

    #[test]
    fn each_kind_and_their_mixtures() {
        let t = r#""t":"2013-01-01T00:00:00Z""#;
        let columns = infer(&[
            &format!(r#"{{{t},"b":true,"i":1,"f":1,"s":"x","ts":"2013-01-01T00:00:00+01:00","n":null,"o":{{"y":1}},"m":1,"z":-0}}"#),
            "not json",
            r#"{"t":"garbage","i":null,"f":1.5,"s":"2013-01-01T00:00:00Z","ts":null,"o":null,"m":"x","late":[1],"big":18446744073709551615}"#,
        ])
        .unwrap();
        let expected = [
            ("t", "timestamp", false),
            ("b", "bool", true),
            ("i", "int64", true),
            ("f", "float64", true),
            ("s", "utf8", true),
            ("ts", "timestamp", true),
            ("n", "json", true),
            ("o", "json", true),
            ("m", "json", true),
            ("z", "int64", true),
            ("late", "json", true),
            ("big", "json", true),
        ];
        let expected: Vec<_> = expected.iter().map(|(n, k, null)| ((*n).into(), (*k).into(), *null)).collect();
        assert_eq!(columns, expected);
    }

    #[test]
    fn without_records_or_the_event_time_there_is_no_schema() {
        let e = infer(&["nope"]).unwrap_err();
        assert!(e.to_string().contains("no record"), "{e}");
        let e = infer(&[r#"{"a":1,"b":2}"#]).unwrap_err();
        assert!(e.to_string().contains("column t: ") && e.to_string().contains("there are a, b"), "{e}");
    }
}
