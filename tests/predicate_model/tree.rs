//! Conditions, and the interpreter.

use std::cmp::Ordering;

use hypostyle::predicate::{Comparison, Literal, Operand, Predicate, col};
use proptest::prelude::*;

use crate::cells::*;
use crate::constants::{Constant, order};

/// A predicate over the columns by number, with its constants in a form that the interpreter can read.
#[derive(Debug, Clone)]
pub enum Tree {
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
    pub fn predicate(&self, columns: &[Column]) -> Predicate {
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

    pub fn holds(&self, row: &[Option<Cell>]) -> Option<bool> {
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

pub fn either(values: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let all: Vec<_> = values.collect();
    if all.contains(&Some(true)) {
        Some(true)
    } else if all.contains(&None) {
        None
    } else {
        Some(false)
    }
}

pub fn like(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|i| like(&text[i..], rest)),
        ['_', rest @ ..] => !text.is_empty() && like(&text[1..], rest),
        ['\\', c, rest @ ..] | [c, rest @ ..] => text.first() == Some(c) && like(&text[1..], rest),
    }
}

pub const NUMBERS: [&str; 21] = [
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
pub const PATTERNS: [&str; 12] = ["%", "a%", "%c", "%b%", "a_", "a", "a%c", "_", r"a\%%", r"%\%c", "", "ab%"];

pub fn constants(column: &Column) -> Vec<Constant> {
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

pub fn family(cell: Cell) -> u8 {
    match cell {
        Bool(_) => 0,
        Num(_) | F16(_) | F32(_) | F64(_) => 1,
        Text(_) => 2,
        Bytes(_) => 3,
        Instant(_) => 4,
        Clock(_) => 5,
    }
}

pub fn trees() -> impl Strategy<Value = Tree> {
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
        2 => (0..count, prop_oneof![2 => prop::collection::vec(any::<prop::sample::Index>(), 0..4), 1 => prop::collection::vec(any::<prop::sample::Index>(), 9..16)])
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
