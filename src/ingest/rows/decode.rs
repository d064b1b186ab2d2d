//! One record's JSON → one [`Row`], directed by the schema, strictly: what does not fit makes the record bad.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hashbrown::HashMap;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Cell;
use super::number::parse_decimal;
use crate::ingest::schema::{FieldType, RowField, RowSchema};
use crate::ingest::time;

/// Decodes records of one schema.
#[derive(Debug)]
pub(crate) struct RowDecoder {
    fields: Vec<RowField>,
    by_name: HashMap<String, usize>,
    ignore_unknown: bool,
}

/// The cells of one record, in the order of the schema; reused for the next one.
#[derive(Debug, Default)]
pub(crate) struct Row<'a> {
    cells: Vec<Cell<'a>>,
    own: Vec<u8>,
}

impl<'a> Row<'a> {
    pub(crate) fn cells(&self) -> &[Cell<'a>] {
        &self.cells
    }

    /// The bytes of a [`Cell::Own`].
    pub(crate) fn own(&self, start: usize, end: usize) -> &[u8] {
        self.own.get(start..end).unwrap_or_default()
    }
}

impl RowDecoder {
    pub(crate) fn new(schema: &RowSchema, ignore_unknown: bool) -> RowDecoder {
        let fields = schema.fields().to_vec();
        let by_name = fields.iter().enumerate().map(|(at, field)| (field.name.clone(), at)).collect();
        RowDecoder { fields, by_name, ignore_unknown }
    }

    /// Decodes one record, or says in one line why it is bad.
    pub(crate) fn decode<'a>(&self, text: &'a str, row: &mut Row<'a>) -> Result<(), String> {
        row.cells.clear();
        row.cells.resize(self.fields.len(), Cell::Missing);
        row.own.clear();
        let mut at_field = None;
        let mut json = serde_json::Deserializer::from_str(text);
        let visitor = RecordVisitor { decoder: self, row, at_field: &mut at_field };
        let done = json.deserialize_map(visitor).and_then(|()| json.end());
        if let Err(e) = done {
            return Err(reason(at_field.and_then(|at| self.fields.get(at)), &e.to_string()));
        }
        for (cell, field) in row.cells.iter().zip(&self.fields) {
            if !field.nullable && matches!(cell, Cell::Missing | Cell::Null) {
                let what = if *cell == Cell::Missing { "missing" } else { "null" };
                return Err(reason(Some(field), &format!("{what}, and it may not be null")));
            }
        }
        Ok(())
    }
}

/// One bounded line: serde's messages can quote a whole value.
fn reason(field: Option<&RowField>, what: &str) -> String {
    let what: String = what.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let shown = match what.char_indices().nth(REASON_CHARS_MAX) {
        Some((end, _)) => format!("{}…", what.get(..end).unwrap_or_default()),
        None => what,
    };
    match field {
        Some(field) => format!("column {}: {shown}", field.name),
        None => shown,
    }
}

struct RecordVisitor<'r, 'a> {
    decoder: &'r RowDecoder,
    row: &'r mut Row<'a>,
    /// The field that was being read when an error came.
    at_field: &'r mut Option<usize>,
}

impl<'a> Visitor<'a> for RecordVisitor<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let Row { cells, own } = self.row;
        let mut guess = 0;
        while let Some(key) = map.next_key_seed(KeySeed { decoder: self.decoder, guess })? {
            let Some((field, cell)) = self.decoder.fields.get(key).zip(cells.get_mut(key)) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            *self.at_field = Some(key);
            if *cell != Cell::Missing {
                return Err(A::Error::custom("the record has it twice"));
            }
            *cell = map.next_value_seed(CellSeed { kind: field.kind, own })?;
            *self.at_field = None;
            guess = key + 1;
        }
        Ok(())
    }
}

/// Where a key's column stands; past the last for a field that is not kept.
struct KeySeed<'r> {
    decoder: &'r RowDecoder,
    /// Records have their fields in one order, mostly.
    guess: usize,
}

impl<'a> DeserializeSeed<'a> for KeySeed<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<usize, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<usize, E> {
        if self.decoder.fields.get(self.guess).is_some_and(|field| field.name == key) {
            return Ok(self.guess);
        }
        match self.decoder.by_name.get(key) {
            Some(at) => Ok(*at),
            None if self.decoder.ignore_unknown => Ok(usize::MAX),
            None => Err(E::custom(format_args!("the schema has no field {key:?}"))),
        }
    }
}

/// A value of one type.
struct CellSeed<'r> {
    kind: FieldType,
    own: &'r mut Vec<u8>,
}

impl<'a> DeserializeSeed<'a> for CellSeed<'_> {
    type Value = Cell<'a>;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Cell<'a>, D::Error> {
        match self.kind {
            FieldType::Json | FieldType::Decimal { .. } => {
                let raw: &'a RawValue = serde::Deserialize::deserialize(json)?;
                self.raw(raw.get())
            }
            _ => json.deserialize_any(self),
        }
    }
}

impl CellSeed<'_> {
    fn raw<'a, E: serde::de::Error>(self, text: &'a str) -> Result<Cell<'a>, E> {
        let FieldType::Decimal { precision, scale } = self.kind else {
            return Ok(if text == "null" { Cell::Null } else { Cell::Str(text) });
        };
        if text == "null" {
            return Ok(Cell::Null);
        }
        // Digits have no escapes, so text between quotes is what it says.
        let digits = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        match parse_decimal(digits, precision, scale) {
            Some(value) => Ok(Cell::Decimal(value)),
            None => Err(E::custom(format_args!("{text} is no decimal({precision},{scale})"))),
        }
    }

    fn int<'a, E: serde::de::Error>(&self, value: i64) -> Result<Cell<'a>, E> {
        let fits = match self.kind {
            FieldType::Int8 => i8::try_from(value).is_ok(),
            FieldType::Int16 => i16::try_from(value).is_ok(),
            FieldType::Int32 => i32::try_from(value).is_ok(),
            FieldType::Int64 => true,
            #[expect(clippy::cast_precision_loss, reason = "a float column holds what is nearest")]
            FieldType::Float32 | FieldType::Float64 => return Ok(Cell::Float(value as f64)),
            FieldType::Timestamp { unit: Some(unit) } => {
                return match time::from_unit(value, unit) {
                    Some(us) => Ok(Cell::Int(us)),
                    None => Err(E::custom(format_args!("{value} is out of the years 1 to 9999"))),
                };
            }
            _ => return Err(E::invalid_type(serde::de::Unexpected::Signed(value), self)),
        };
        if fits {
            Ok(Cell::Int(value))
        } else {
            Err(E::custom(format_args!("{value} is out of range for {}", self.kind.name())))
        }
    }

    /// Text that the record's own text does not have as it stands.
    fn keep<'a>(&mut self, bytes: &[u8]) -> Cell<'a> {
        let start = self.own.len();
        self.own.extend_from_slice(bytes);
        Cell::Own(start, self.own.len())
    }

    /// A value that is read from text, unless it is the text itself.
    fn parsed<'a, E: serde::de::Error>(&mut self, text: &str) -> Result<Option<Cell<'a>>, E> {
        let value = match self.kind {
            FieldType::Utf8 => return Ok(None),
            FieldType::Timestamp { unit: None } => match time::parse_rfc3339(text) {
                Some(us) => Cell::Int(us),
                None => return Err(E::custom(format_args!("{text:?} is no RFC 3339 time with a zone"))),
            },
            FieldType::Date => match time::parse_date(text) {
                Some(days) => Cell::Int(i64::from(days)),
                None => return Err(E::custom(format_args!("{text:?} is no date like 2013-01-31"))),
            },
            FieldType::Binary => match BASE64.decode(text) {
                Ok(bytes) => self.keep(&bytes),
                Err(e) => return Err(E::custom(format_args!("no base64: {e}"))),
            },
            _ => return Err(E::invalid_type(serde::de::Unexpected::Str(text), self)),
        };
        Ok(Some(value))
    }
}

impl<'a> Visitor<'a> for CellSeed<'_> {
    type Value = Cell<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FieldType::Timestamp { unit: Some(_) } => f.write_str("an integer that counts since 1970"),
            FieldType::Timestamp { unit: None } => f.write_str("RFC 3339 text"),
            kind => write!(f, "a value of type {}", kind.name()),
        }
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Cell<'a>, E> {
        Ok(Cell::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Cell<'a>, E> {
        match self.kind {
            FieldType::Bool => Ok(Cell::Bool(value)),
            _ => Err(E::invalid_type(serde::de::Unexpected::Bool(value), &self)),
        }
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Cell<'a>, E> {
        self.int(value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Cell<'a>, E> {
        match (self.kind, i64::try_from(value)) {
            (_, Ok(value)) => self.int(value),
            #[expect(clippy::cast_precision_loss, reason = "a float column holds what is nearest")]
            (FieldType::Float32 | FieldType::Float64, Err(_)) => Ok(Cell::Float(value as f64)),
            (_, Err(_)) => Err(E::custom(format_args!("{value} is out of range for {}", self.kind.name()))),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Cell<'a>, E> {
        match self.kind {
            #[expect(clippy::cast_possible_truncation, reason = "whether it fits is what is asked")]
            FieldType::Float32 if (value as f32).is_infinite() => {
                Err(E::custom(format_args!("{value} is out of range for float32")))
            }
            FieldType::Float32 | FieldType::Float64 => Ok(Cell::Float(value)),
            // How serde_json reads the integer -0.
            _ if value == 0.0 && value.is_sign_negative() => self.int(0),
            _ => Err(E::invalid_type(serde::de::Unexpected::Float(value), &self)),
        }
    }

    fn visit_borrowed_str<E: serde::de::Error>(mut self, text: &'a str) -> Result<Cell<'a>, E> {
        Ok(self.parsed(text)?.unwrap_or(Cell::Str(text)))
    }

    fn visit_str<E: serde::de::Error>(mut self, text: &str) -> Result<Cell<'a>, E> {
        match self.parsed(text)? {
            Some(cell) => Ok(cell),
            None => Ok(self.keep(text.as_bytes())),
        }
    }
}

const REASON_CHARS_MAX: usize = 300;
