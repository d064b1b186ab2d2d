//! Predicates against a naive interpreter that goes row by row: evaluation must equal it, and pruning must
//! never contradict it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod cells;
mod constants;
mod tree;

use std::sync::Arc;

use arrow_array::*;
use arrow_schema::{DataType, Field, Schema};
use cells::*;
use constants::order;
use hypostyle::predicate::{Bounds, ColumnBounds, ColumnPath, Verdict, sql};
use proptest::prelude::*;
use tree::trees;

/// Rows as places in the columns' pools; one too many is NULL. How many rows the bounds are asked about, and
/// for each column which bounds are known, whether they are those of all rows (too wide, but true), and whether all its values are.
#[derive(Debug, Clone)]
struct Rows {
    cells: Vec<Vec<u8>>,
    asked: usize,
    known: Vec<(bool, bool, bool, bool, bool, bool)>,
}

fn rows() -> impl Strategy<Value = Rows> {
    let count = columns().len();
    let row = prop::collection::vec(0..10u8, count);
    (prop::collection::vec(row, 1..7), prop::collection::vec(any::<(bool, bool, bool, bool, bool, bool)>(), count))
        .prop_flat_map(|(cells, known)| (Just(cells.clone()), 1..=cells.len(), Just(known)))
        .prop_map(|(cells, asked, known)| Rows { cells, asked, known })
}

struct KnownBounds {
    rows: u64,
    columns: Vec<(String, ColumnBounds, Option<ArrayRef>)>,
}

impl Bounds for KnownBounds {
    fn rows(&self) -> u64 {
        self.rows
    }

    fn column(&self, column: &ColumnPath) -> ColumnBounds {
        self.columns.iter().find(|(name, ..)| Some(name.as_str()) == column.as_column()).unwrap().1.clone()
    }

    fn values(&self, column: &ColumnPath) -> Option<ArrayRef> {
        self.columns.iter().find(|(name, ..)| Some(name.as_str()) == column.as_column()).unwrap().2.clone()
    }
}

fn is_nan(cell: &Cell) -> bool {
    matches!(cell, F16(f) | F32(f) | F64(f) if f.is_nan())
}

fn bounds(columns: &[Column], table: &[Vec<Option<Cell>>], rows: &Rows) -> KnownBounds {
    let of = |(i, column): (usize, &Column)| {
        let (min, max, nulls, nans, wide, all) = rows.known[i];
        let within = if wide { table.len() } else { rows.asked };
        let cells: Vec<Option<Cell>> = table.iter().map(|row| row[i]).collect();
        let values = || cells[..within].iter().flatten().filter(|c| !is_nan(c));
        let edge = |cell: &Cell| (column.array)(&[Some(*cell)]);
        let asked = &cells[..rows.asked];
        let bounds = ColumnBounds {
            min: values().min_by(|a, b| order(**a, **b)).map(edge).filter(|_| min),
            max: values().max_by(|a, b| order(**a, **b)).map(edge).filter(|_| max),
            null_count: nulls.then(|| asked.iter().filter(|c| c.is_none()).count() as u64),
            nan_count: nans.then(|| asked.iter().flatten().filter(|c| is_nan(c)).count() as u64),
        };
        // Others may be among them.
        let there: Vec<Option<Cell>> = cells[..within].iter().filter(|c| c.is_some()).copied().collect();
        let values = all.then(|| match (column.array)(&there) {
            dictionary if column.name == "dict" => arrow_cast::cast(&dictionary, &DataType::Utf8).unwrap(),
            plain => plain,
        });
        (column.name.to_owned(), bounds, values)
    };
    KnownBounds { rows: rows.asked as u64, columns: columns.iter().enumerate().map(of).collect() }
}

fn batch(columns: &[Column], table: &[Vec<Option<Cell>>]) -> RecordBatch {
    let arrays: Vec<ArrayRef> = columns
        .iter()
        .enumerate()
        .map(|(i, c)| (c.array)(&table.iter().map(|row| row[i]).collect::<Vec<_>>()))
        .collect();
    let fields: Vec<Field> =
        columns.iter().zip(&arrays).map(|(c, a)| Field::new(c.name, a.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn evaluation_and_pruning_agree_with_the_interpreter(rows in rows(), tree in trees()) {
        let columns = columns();
        let table: Vec<Vec<Option<Cell>>> = rows
            .cells
            .iter()
            .map(|row| row.iter().zip(&columns).map(|(i, c)| if c.name == "null" { None } else { c.pool.get(usize::from(*i)).copied() }).collect())
            .collect();
        let predicate = tree.predicate(&columns);
        let batch = batch(&columns, &table);
        let bound = predicate.bind(&batch.schema()).unwrap();
        let expected: Vec<Option<bool>> = table.iter().map(|row| tree.holds(row)).collect();
        let got: Vec<Option<bool>> = bound.evaluate(&batch).unwrap().iter().collect();
        prop_assert_eq!(&got, &expected, "{}", predicate);
        // A slice sees its own rows only.
        let tail: Vec<Option<bool>> = bound.evaluate(&batch.slice(1, table.len() - 1)).unwrap().iter().collect();
        prop_assert_eq!(&tail, &expected[1..], "{}", predicate);

        // Printed and parsed it is the same, where SQL has words for its constants.
        if let Ok(parsed) = sql::parse(&predicate.to_string())
            && let Ok(bound) = parsed.bind(&batch.schema())
        {
            let got: Vec<Option<bool>> = bound.evaluate(&batch).unwrap().iter().collect();
            prop_assert_eq!(&got, &expected, "{} parsed as {:?}", predicate, parsed);
        }

        let asked = &expected[..rows.asked];
        match bound.prune(&bounds(&columns, &table, &rows)) {
            Verdict::Drop => prop_assert!(!asked.contains(&Some(true)), "dropped, but matches: {} {:?}", predicate, asked),
            Verdict::AllMatch => prop_assert!(asked.iter().all(|m| *m == Some(true)), "not all match: {} {:?}", predicate, asked),
            Verdict::Keep => {}
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..40)) {
        if let Ok(predicate) = sql::parse(&words.concat()) {
            let again = sql::parse(&predicate.to_string());
            prop_assert!(again.is_ok(), "{} is {:?}, printed as {}: {:?}", words.concat(), predicate, predicate, again);
        }
    }
}

const WORDS: [&str; 60] = [
    " ",
    "a",
    "b",
    "\"c d\"",
    "1",
    "-",
    "2.5e3",
    "'x'",
    "''",
    "'",
    "\"",
    "(",
    ")",
    ",",
    "=",
    "<",
    ">",
    "!",
    "<>",
    " and ",
    " or ",
    " not ",
    " in ",
    " in (1, 2)",
    " between ",
    " like ",
    " ilike ",
    " escape '!'",
    " is ",
    " null ",
    " true ",
    " false ",
    " unknown ",
    " distinct from ",
    "date ",
    "timestamp ",
    "time ",
    "'2013-01-01'",
    "X'0f'",
    "interval ",
    "case ",
    " when ",
    " then ",
    " end ",
    "cast(",
    " as int",
    "::",
    ".",
    "*",
    "/",
    "%",
    "+",
    "[",
    "]",
    "{",
    "}",
    ";",
    "--",
    "/*",
    "\u{0}",
];
