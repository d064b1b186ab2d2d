//! Constants: what the predicate gets, and what they mean to a value.

use std::cmp::Ordering;

use half::f16;
use hypostyle::predicate::{Literal, Number};

use crate::cells::*;

/// A constant: what the predicate gets, and what it means to a cell.
#[derive(Debug, Clone)]
pub enum Constant {
    Null,
    Number(&'static str),
    NaN,
    Infinite(bool),
    Is(Cell, Literal),
}

impl Constant {
    pub fn literal(&self) -> Literal {
        match self {
            Constant::Null => Literal::Null,
            Constant::Number(text) => Literal::Number(Number::parse(text).unwrap()),
            Constant::NaN => Literal::NaN,
            Constant::Infinite(true) => Literal::NegativeInfinity,
            Constant::Infinite(false) => Literal::Infinity,
            Constant::Is(_, literal) => literal.clone(),
        }
    }

    pub fn order_from(&self, cell: Cell) -> Option<Ordering> {
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

pub fn millionths(text: &str) -> i128 {
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

pub fn float_order(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

pub fn order(a: Cell, b: Cell) -> Ordering {
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
