//! Predicates against a naive interpreter that goes row by row: evaluation must equal it, and pruning must
//! never contradict it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::*;
use arrow_buffer::i256;
use arrow_schema::{Field, Schema};
use half::f16;
use hypostyle::predicate::{
    Bounds, ColumnBounds, ColumnPath, Comparison, Literal, Number, Operand, Predicate, Verdict, col, sql,
};
use proptest::prelude::*;

/// A value as the interpreter knows it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cell {
    Bool(bool),
    /// Millionths.
    Num(i128),
    F16(f64),
    F32(f64),
    F64(f64),
    Text(&'static str),
    Bytes(&'static [u8]),
    /// Nanoseconds since 1970.
    Instant(i128),
    /// Nanoseconds since midnight.
    Clock(i64),
}
use Cell::*;

struct Column {
    name: &'static str,
    pool: Vec<Cell>,
    array: fn(&[Option<Cell>]) -> ArrayRef,
}

macro_rules! ints {
    ($cells:expr, $array:ty, $unit:expr) => {
        Arc::new(
            $cells
                .iter()
                .map(|c| {
                    c.map(|c| match c {
                        Num(n) | Instant(n) => (n / $unit).try_into().unwrap(),
                        Clock(n) => (i128::from(n) / $unit).try_into().unwrap(),
                        other => panic!("{other:?}"),
                    })
                })
                .collect::<$array>(),
        )
    };
}

macro_rules! floats {
    ($cells:expr, $array:ty, $cast:expr) => {
        Arc::new(
            $cells
                .iter()
                .map(|c| c.map(|c| if let F16(f) | F32(f) | F64(f) = c { $cast(f) } else { panic!("{c:?}") }))
                .collect::<$array>(),
        )
    };
}

fn text(c: &Option<Cell>) -> Option<&'static str> {
    c.map(|c| if let Text(t) = c { t } else { panic!("{c:?}") })
}

fn bytes(c: &Option<Cell>) -> Option<&'static [u8]> {
    c.map(|c| if let Bytes(b) = c { b } else { panic!("{c:?}") })
}

const M: i128 = 1_000_000;
const S: i128 = 1_000_000_000;
const DAY: i128 = 86_400 * S;
const TEXTS: [&str; 9] = ["", "a", "ab", "abc", "b", "a%c", "A", "ß", "a\u{10FFFF}z"];

fn columns() -> Vec<Column> {
    let nums = |all: &[i128]| all.iter().map(|n| Num(n * M)).collect::<Vec<_>>();
    let specials = [f64::NAN, -f64::NAN, -0.0, 0.0, 1.5, 0.1, f64::INFINITY, f64::NEG_INFINITY, -2.0];
    let texts = TEXTS.map(Text).to_vec();
    vec![
        Column { name: "i8", pool: nums(&[-128, -1, 0, 1, 2, 100, 127]), array: |c| ints!(c, Int8Array, M) },
        Column {
            name: "i64",
            pool: nums(&[i64::MIN.into(), -1, 0, 1, 2, 100, i64::MAX.into()]),
            array: |c| ints!(c, Int64Array, M),
        },
        Column {
            name: "u64",
            pool: nums(&[0, 1, 2, 100, 1 << 63, u64::MAX.into()]),
            array: |c| ints!(c, UInt64Array, M),
        },
        Column {
            name: "dec",
            pool: [-25, 0, 150, 200, 9_999_999_975].map(|n| Num(n * 10_000)).to_vec(),
            array: |c| {
                let values: Decimal128Array =
                    c.iter().map(|c| c.map(|c| if let Num(n) = c { n / 10_000 } else { panic!() })).collect();
                Arc::new(values.with_precision_and_scale(10, 2).unwrap())
            },
        },
        Column {
            name: "dec256",
            pool: [-250, 0, 1500, 2000, 250].map(|n| Num(n * 1000)).to_vec(),
            array: |c| {
                let values: Decimal256Array = c
                    .iter()
                    .map(|c| c.map(|c| if let Num(n) = c { i256::from_i128(n / 1000) } else { panic!() }))
                    .collect();
                Arc::new(values.with_precision_and_scale(50, 3).unwrap())
            },
        },
        Column {
            name: "f16",
            pool: specials.map(|f| F16(f16::from_f64(f).to_f64())).to_vec(),
            array: |c| floats!(c, Float16Array, f16::from_f64),
        },
        Column {
            name: "f32",
            pool: specials.iter().map(|f| F32(f64::from(*f as f32))).chain([F32(f32::MAX.into())]).collect(),
            array: |c| floats!(c, Float32Array, |f| f as f32),
        },
        Column { name: "f64", pool: specials.map(F64).to_vec(), array: |c| floats!(c, Float64Array, |f| f) },
        Column {
            name: "bool",
            pool: vec![Bool(false), Bool(true)],
            array: |c| Arc::new(c.iter().map(|c| c.map(|c| c == Bool(true))).collect::<BooleanArray>()),
        },
        Column { name: "utf8", pool: texts.clone(), array: |c| Arc::new(c.iter().map(text).collect::<StringArray>()) },
        Column {
            name: "view",
            pool: texts.clone(),
            array: |c| Arc::new(c.iter().map(text).collect::<StringViewArray>()),
        },
        Column {
            name: "dict",
            pool: texts,
            array: |c| Arc::new(c.iter().map(text).collect::<DictionaryArray<types::Int8Type>>()),
        },
        Column {
            name: "bin",
            pool: vec![Bytes(b""), Bytes(b"a"), Bytes(b"ab"), Bytes(b"\xff"), Bytes(b"b")],
            array: |c| Arc::new(c.iter().map(bytes).collect::<BinaryArray>()),
        },
        Column {
            name: "fixed",
            pool: vec![Bytes(b"\0\0"), Bytes(b"a\0"), Bytes(b"ab"), Bytes(b"\xff\xff")],
            array: |c| Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(c.iter().map(bytes), 2).unwrap()),
        },
        Column {
            name: "ts_s",
            pool: [i64::MIN.into(), -1, 0, 1, 86_400, i64::MAX.into()].map(|n: i128| Instant(n * S)).to_vec(),
            array: |c| ints!(c, TimestampSecondArray, S),
        },
        Column {
            name: "ts_us",
            pool: [-1, 0, 1, 1_500_000, 86_400_000_000].map(|n| Instant(n * 1000)).to_vec(),
            array: |c| {
                let array: Arc<TimestampMicrosecondArray> = ints!(c, TimestampMicrosecondArray, 1000);
                Arc::new(array.as_ref().clone().with_timezone("UTC"))
            },
        },
        Column {
            name: "date32",
            pool: [-1, 0, 1, 10].map(|n| Instant(n * DAY)).to_vec(),
            array: |c| ints!(c, Date32Array, DAY),
        },
        Column {
            name: "time",
            pool: [0, 1, 1500, 86_399_999].map(|n| Clock(n * 1_000_000)).to_vec(),
            array: |c| ints!(c, Time32MillisecondArray, M),
        },
        Column { name: "null", pool: vec![Bool(true)], array: |c| Arc::new(NullArray::new(c.len())) },
    ]
}

/// A constant: what the predicate gets, and what it means to a cell.
#[derive(Debug, Clone)]
enum Constant {
    Null,
    Number(&'static str),
    NaN,
    Infinite(bool),
    Is(Cell, Literal),
}

impl Constant {
    fn literal(&self) -> Literal {
        match self {
            Constant::Null => Literal::Null,
            Constant::Number(text) => Literal::Number(Number::parse(text).unwrap()),
            Constant::NaN => Literal::NaN,
            Constant::Infinite(true) => Literal::NegativeInfinity,
            Constant::Infinite(false) => Literal::Infinity,
            Constant::Is(_, literal) => literal.clone(),
        }
    }

    fn order_from(&self, cell: Cell) -> Option<Ordering> {
        let float = |x: f64, limit: f64, round: fn(f64) -> f64| match self {
            Constant::Number(text) => {
                let exact: f64 = text.parse().unwrap();
                match round(exact) {
                    // Beyond the finite values, and yet not infinite.
                    y if y.is_infinite() && y > 0.0 && (x > limit || x.is_nan()) => Ordering::Greater,
                    y if y.is_infinite() && y < 0.0 && x != f64::NEG_INFINITY => Ordering::Greater,
                    y if y.is_infinite() => Ordering::Less,
                    y => float_order(x, y),
                }
            }
            Constant::NaN => float_order(x, f64::NAN),
            Constant::Infinite(true) => float_order(x, f64::NEG_INFINITY),
            Constant::Infinite(false) => float_order(x, f64::INFINITY),
            other => panic!("{other:?}"),
        };
        Some(match (cell, self) {
            (_, Constant::Null) => return None,
            (Num(n), Constant::Number(text)) => n.cmp(&millionths(text)),
            (Num(_), Constant::NaN | Constant::Infinite(false)) => Ordering::Less,
            (Num(_), Constant::Infinite(true)) => Ordering::Greater,
            (F16(x), _) => float(x, f16::MAX.into(), |f| f16::from_f64(f).to_f64()),
            (F32(x), _) => float(x, f32::MAX.into(), |f| f64::from(f as f32)),
            (F64(x), _) => float(x, f64::MAX, |f| f),
            (cell, Constant::Is(other, _)) => order(cell, *other),
            other => panic!("{other:?}"),
        })
    }
}

fn millionths(text: &str) -> i128 {
    match text {
        "1e300" => i128::MAX,
        "-1e300" => i128::MIN,
        "1e-300" => 1, // nothing in the pools lies between it and a millionth
        _ => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let digits: i128 = format!("{whole}{fraction:0<6}").parse().unwrap();
            digits
        }
    }
}

fn float_order(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn order(a: Cell, b: Cell) -> Ordering {
    let float = |c: Cell| match c {
        Num(n) => n as f64 / M as f64,
        F16(f) | F32(f) | F64(f) => f,
        other => panic!("{other:?}"),
    };
    match (a, b) {
        (Bool(a), Bool(b)) => a.cmp(&b),
        (Num(a), Num(b)) => a.cmp(&b),
        (Text(a), Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Bytes(a), Bytes(b)) => a.cmp(b),
        (Instant(a), Instant(b)) => a.cmp(&b),
        (Clock(a), Clock(b)) => a.cmp(&b),
        (a, b) => float_order(float(a), float(b)),
    }
}

/// A predicate over the columns by number, with its constants in a form that the interpreter can read.
#[derive(Debug, Clone)]
enum Tree {
    Compare(usize, Comparison, Constant),
    Columns(usize, Comparison, usize),
    In(usize, Vec<Constant>),
    IsNull(usize),
    Like(usize, &'static str),
    Constant(Option<bool>),
    Is(Box<Tree>, Option<bool>),
    Not(Box<Tree>),
    And(Vec<Tree>),
    Or(Vec<Tree>),
}

impl Tree {
    fn predicate(&self, columns: &[Column]) -> Predicate {
        let name = |c: &usize| columns[*c].name;
        let all = |trees: &[Tree]| trees.iter().map(|t| t.predicate(columns)).collect::<Vec<_>>();
        match self {
            Tree::Compare(c, op, value) => col(name(c)).compare(*op, value.literal()),
            Tree::Columns(l, op, r) => col(name(l)).compare(*op, Operand::from(col(name(r)))),
            Tree::In(c, values) => col(name(c)).is_in(values.iter().map(Constant::literal)),
            Tree::IsNull(c) => col(name(c)).is_null(),
            Tree::Like(c, pattern) => col(name(c)).like(*pattern),
            Tree::Constant(value) => Predicate::Constant(*value),
            Tree::Is(inner, value) => Predicate::Is { condition: Box::new(inner.predicate(columns)), value: *value },
            Tree::Not(inner) => !inner.predicate(columns),
            Tree::And(trees) => Predicate::all(all(trees)),
            Tree::Or(trees) => Predicate::any(all(trees)),
        }
    }

    fn holds(&self, row: &[Option<Cell>]) -> Option<bool> {
        match self {
            Tree::Compare(c, op, value) => value.order_from(row[*c]?).map(|o| op.holds(o)),
            Tree::Columns(l, op, r) => Some(op.holds(order(row[*l]?, row[*r]?))),
            Tree::In(c, values) => {
                // Nothing is in an empty list, NULL neither.
                either(values.iter().map(|v| v.order_from(row[*c]?).map(Ordering::is_eq)))
            }
            Tree::IsNull(c) => Some(row[*c].is_none()),
            Tree::Like(c, pattern) => {
                let Text(text) = row[*c]? else { panic!() };
                Some(like(&text.chars().collect::<Vec<_>>(), &pattern.chars().collect::<Vec<_>>()))
            }
            Tree::Constant(value) => *value,
            Tree::Is(inner, value) => Some(inner.holds(row) == *value),
            Tree::Not(inner) => inner.holds(row).map(|b| !b),
            Tree::And(trees) => either(trees.iter().map(|t| t.holds(row).map(|b| !b))).map(|b| !b),
            Tree::Or(trees) => either(trees.iter().map(|t| t.holds(row))),
        }
    }
}

fn either(values: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let all: Vec<_> = values.collect();
    if all.contains(&Some(true)) {
        Some(true)
    } else if all.contains(&None) {
        None
    } else {
        Some(false)
    }
}

fn like(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|i| like(&text[i..], rest)),
        ['_', rest @ ..] => !text.is_empty() && like(&text[1..], rest),
        ['\\', c, rest @ ..] | [c, rest @ ..] => text.first() == Some(c) && like(&text[1..], rest),
    }
}

const NUMBERS: [&str; 21] = [
    "-129",
    "-128",
    "-1",
    "-0.25",
    "0",
    "0.001",
    "0.1",
    "1",
    "1.5",
    "2",
    "100",
    "127",
    "128",
    "1e300",
    "-1e300",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e-300",
    "70000",
];
const PATTERNS: [&str; 12] = ["%", "a%", "%c", "%b%", "a_", "a", "a%c", "_", r"a\%%", r"%\%c", "", "ab%"];

fn constants(column: &Column) -> Vec<Constant> {
    let own = |literal: fn(Cell) -> Literal, extra: &[Cell]| {
        column.pool.iter().chain(extra).map(|c| Constant::Is(*c, literal(*c))).collect::<Vec<_>>()
    };
    let mut all = match column.pool[0] {
        Num(_) | F16(_) | F32(_) | F64(_) => NUMBERS
            .iter()
            .map(|n| Constant::Number(n))
            .chain([Constant::NaN, Constant::Infinite(true), Constant::Infinite(false)])
            .collect(),
        Bool(_) => own(|c| Literal::Boolean(c == Bool(true)), &[]),
        Text(_) => own(|c| if let Text(t) = c { t.into() } else { panic!() }, &[Text("aa"), Text("zz")]),
        Bytes(_) => own(
            |c| if let Bytes(b) = c { b.to_vec().into() } else { panic!() },
            &[Bytes(b"a\0\0"), Bytes(b"\xff\xff\xff")],
        ),
        Instant(_) => own(
            |c| if let Instant(ns) = c { Literal::Timestamp(ns) } else { panic!() },
            &[Instant(1), Instant(-1), Instant(i128::MAX), Instant(i128::MIN), Instant(1_500_000_001)],
        ),
        Clock(_) => own(
            |c| if let Clock(ns) = c { Literal::Time(ns) } else { panic!() },
            &[Clock(1), Clock(-1), Clock(i64::MAX)],
        ),
    };
    all.push(Constant::Null);
    all
}

fn family(cell: Cell) -> u8 {
    match cell {
        Bool(_) => 0,
        Num(_) | F16(_) | F32(_) | F64(_) => 1,
        Text(_) => 2,
        Bytes(_) => 3,
        Instant(_) => 4,
        Clock(_) => 5,
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let count = columns().len();
    let op = prop::sample::select(vec![
        Comparison::Eq,
        Comparison::NotEq,
        Comparison::Lt,
        Comparison::LtEq,
        Comparison::Gt,
        Comparison::GtEq,
    ]);
    let pick = |c: usize, i: prop::sample::Index| i.get(&constants(&columns()[c])).clone();
    let truth = || prop::sample::select(vec![None, Some(false), Some(true)]);
    let leaf = prop_oneof![
        8 => (0..count, op.clone(), any::<prop::sample::Index>()).prop_map(move |(c, op, i)| Tree::Compare(c, op, pick(c, i))),
        3 => (0..count, op, any::<prop::sample::Index>()).prop_map(|(l, op, i)| {
            let columns = columns();
            let same: Vec<usize> = (0..columns.len()).filter(|r| family(columns[*r].pool[0]) == family(columns[l].pool[0])).collect();
            Tree::Columns(l, op, *i.get(&same))
        }),
        2 => (0..count, prop::collection::vec(any::<prop::sample::Index>(), 0..4))
            .prop_map(move |(c, all)| Tree::In(c, all.into_iter().map(|i| pick(c, i)).collect())),
        1 => (0..count).prop_map(Tree::IsNull),
        3 => (9..12usize, prop::sample::select(PATTERNS.to_vec())).prop_map(|(c, p)| Tree::Like(c, p)),
        1 => truth().prop_map(Tree::Constant),
    ];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            inner.clone().prop_map(|t| Tree::Not(Box::new(t))),
            (inner.clone(), truth()).prop_map(|(t, value)| Tree::Is(Box::new(t), value)),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Tree::And),
            prop::collection::vec(inner, 0..3).prop_map(Tree::Or),
        ]
    })
}

/// Rows as places in the columns' pools; one too many is NULL. How many rows the bounds are asked about, and
/// for each column which bounds are known, and whether they are those of all rows: too wide, but true.
#[derive(Debug, Clone)]
struct Rows {
    cells: Vec<Vec<u8>>,
    asked: usize,
    known: Vec<(bool, bool, bool, bool, bool)>,
}

fn rows() -> impl Strategy<Value = Rows> {
    let count = columns().len();
    let row = prop::collection::vec(0..10u8, count);
    (prop::collection::vec(row, 1..7), prop::collection::vec(any::<(bool, bool, bool, bool, bool)>(), count))
        .prop_flat_map(|(cells, known)| (Just(cells.clone()), 1..=cells.len(), Just(known)))
        .prop_map(|(cells, asked, known)| Rows { cells, asked, known })
}

struct KnownBounds {
    rows: u64,
    columns: Vec<(String, ColumnBounds)>,
}

impl Bounds for KnownBounds {
    fn rows(&self) -> u64 {
        self.rows
    }

    fn column(&self, column: &ColumnPath) -> ColumnBounds {
        self.columns.iter().find(|(name, _)| Some(name.as_str()) == column.as_column()).unwrap().1.clone()
    }
}

fn is_nan(cell: &Cell) -> bool {
    matches!(cell, F16(f) | F32(f) | F64(f) if f.is_nan())
}

fn bounds(columns: &[Column], table: &[Vec<Option<Cell>>], rows: &Rows) -> KnownBounds {
    let of = |(i, column): (usize, &Column)| {
        let (min, max, nulls, nans, wide) = rows.known[i];
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
        (column.name.to_owned(), bounds)
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
