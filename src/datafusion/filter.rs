//! DataFusion's filters → predicates.
//!
//! A filter is taken over only if both sides mean the same by it, row for row:
//! - Constant and column are of one type (DataFusion has cast the one to the other before).
//! - Floats differ: DataFusion tells 0.0 from -0.0, and holds a NaN with a sign for less than everything; here zeros are
//!   equal and NaN is the greatest. What can differ so is widened to all rows that either side would take, and DataFusion
//!   filters again.
//! - Patterns with a backslash, and those without regard to case, are DataFusion's.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{InList, Like, ScalarFunction};
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};

use crate::predicate::{ColumnPath, Comparison, Literal, Number, Predicate};

/// A filter as a predicate.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter {
    pub predicate: Predicate,
    /// Whether it is true for just the rows for which the filter is; else for others, too.
    pub is_exact: bool,
}

impl Filter {
    /// The filter, if it can be evaluated over rows of this schema.
    pub(super) fn new(expr: &Expr, schema: &Schema) -> Option<Filter> {
        // What cannot be bound is of a type that predicates do not know.
        Converter { schema }.filter(expr).filter(|filter| filter.predicate.bind(schema).is_ok())
    }
}

fn exact(predicate: Predicate) -> Option<Filter> {
    Some(Filter { predicate, is_exact: true })
}

struct Converter<'a> {
    schema: &'a Schema,
}

impl Converter<'_> {
    fn filter(&self, expr: &Expr) -> Option<Filter> {
        match expr {
            Expr::Alias(alias) => self.filter(&alias.expr),
            Expr::Literal(ScalarValue::Boolean(value), _) => exact(Predicate::Constant(*value)),
            Expr::Column(_) | Expr::ScalarFunction(_) if self.path(expr).is_some() => {
                let (column, data_type) = self.path(expr)?;
                (*data_type == DataType::Boolean).then_some(())?;
                exact(Predicate::Compare { column, op: Comparison::Eq, value: Literal::Boolean(true) })
            }
            Expr::ScalarFunction(function) => self.function(function),
            Expr::Not(inner) => exact(!self.exactly(inner)?),
            Expr::IsNull(inner) => self.is_null(inner),
            Expr::IsNotNull(inner) => exact(!self.is_null(inner)?.predicate),
            Expr::IsTrue(inner) => self.is(inner, Some(true)),
            Expr::IsFalse(inner) => self.is(inner, Some(false)),
            Expr::IsUnknown(inner) => self.is(inner, None),
            Expr::IsNotTrue(inner) => exact(!self.is(inner, Some(true))?.predicate),
            Expr::IsNotFalse(inner) => exact(!self.is(inner, Some(false))?.predicate),
            Expr::IsNotUnknown(inner) => exact(!self.is(inner, None)?.predicate),
            Expr::BinaryExpr(binary) => self.binary(binary),
            Expr::Between(between) => self.between(between),
            Expr::InList(list) => self.in_list(list),
            Expr::Like(like) => self.like(like),
            _ => None,
        }
    }

    fn exactly(&self, expr: &Expr) -> Option<Predicate> {
        self.filter(expr).filter(|filter| filter.is_exact).map(|filter| filter.predicate)
    }

    fn is(&self, expr: &Expr, value: Option<bool>) -> Option<Filter> {
        exact(Predicate::Is { condition: Box::new(self.exactly(expr)?), value })
    }

    fn is_null(&self, expr: &Expr) -> Option<Filter> {
        match self.path(expr) {
            Some((column, _)) => exact(Predicate::IsNull { column }),
            None => self.is(expr, None),
        }
    }

    fn binary(&self, BinaryExpr { left, op, right }: &BinaryExpr) -> Option<Filter> {
        let op = match op {
            Operator::And | Operator::Or => {
                let (left, right) = (self.filter(left)?, self.filter(right)?);
                let is_exact = left.is_exact && right.is_exact;
                let both = match op {
                    Operator::And => left.predicate.and(right.predicate),
                    _ => left.predicate.or(right.predicate),
                };
                return Some(Filter { predicate: both, is_exact });
            }
            Operator::Eq => Comparison::Eq,
            Operator::NotEq => Comparison::NotEq,
            Operator::Lt => Comparison::Lt,
            Operator::LtEq => Comparison::LtEq,
            Operator::Gt => Comparison::Gt,
            Operator::GtEq => Comparison::GtEq,
            _ => return None,
        };
        match (self.path(left), self.path(right), &**left, &**right) {
            (Some((column, data_type)), None, _, Expr::Literal(value, _)) => compare(column, data_type, op, value),
            (None, Some((column, data_type)), Expr::Literal(value, _), _) => {
                compare(column, data_type, op.flip(), value)
            }
            (Some((left, a)), Some((right, b)), ..) => {
                (plain(a) == plain(b) && !plain(a).is_floating()).then_some(())?;
                exact(Predicate::CompareColumns { left, op, right })
            }
            _ => None,
        }
    }

    fn between(&self, Between { expr, negated, low, high }: &Between) -> Option<Filter> {
        let (column, data_type) = self.path(expr)?;
        let side = |op, side: &Expr| match side {
            Expr::Literal(value, _) => compare(column.clone(), data_type, op, value),
            _ => None,
        };
        let (low, high) = (side(Comparison::GtEq, low)?, side(Comparison::LtEq, high)?);
        let is_exact = low.is_exact && high.is_exact;
        let both = low.predicate.and(high.predicate);
        match negated {
            false => Some(Filter { predicate: both, is_exact }),
            true => is_exact.then(|| exact(!both)).flatten(),
        }
    }

    fn in_list(&self, InList { expr, list, negated }: &InList) -> Option<Filter> {
        let (column, data_type) = self.path(expr)?;
        let value = |item: &Expr| match item {
            Expr::Literal(value, _) => literal(value, data_type).filter(|value| !differs(value, data_type)),
            _ => None,
        };
        let values = list.iter().map(value).collect::<Option<Vec<_>>>()?;
        let is_in = Predicate::In { column, values };
        exact(if *negated { !is_in } else { is_in })
    }

    fn like(&self, like: &Like) -> Option<Filter> {
        let Like { negated, expr, pattern, escape_char, case_insensitive } = like;
        let (column, _) = self.path(expr)?;
        let pattern = text(pattern)?;
        if *case_insensitive || escape_char.is_some() || pattern.contains('\\') {
            return None;
        }
        let like = Predicate::Like { column, pattern: pattern.to_owned(), escape: None, ignore_case: false };
        exact(if *negated { !like } else { like })
    }

    fn function(&self, ScalarFunction { func, args }: &ScalarFunction) -> Option<Filter> {
        match (func.name(), args.as_slice()) {
            ("starts_with", [of, prefix]) => {
                let (column, data_type) = self.path(of)?;
                is_text(plain(data_type)).then_some(())?;
                let column = crate::predicate::Subject::from(column);
                exact(column.starts_with(text(prefix)?))
            }
            ("array_has", [list, Expr::Literal(value, _)]) => {
                let (column, data_type) = self.path(list)?;
                let (DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)) = data_type
                else {
                    return None;
                };
                let value = literal(value, item.data_type()).filter(|value| *value != Literal::Null)?;
                let any = Predicate::Compare { column: column.any(), op: Comparison::Eq, value };
                // True is the same on both sides; false and unknown are not.
                Some(Filter { predicate: any, is_exact: false })
            }
            _ => None,
        }
    }

    /// The column, or field of one, that an expression is.
    fn path(&self, expr: &Expr) -> Option<(ColumnPath, &DataType)> {
        match expr {
            Expr::Column(column) => {
                let field = self.schema.field_with_name(&column.name).ok()?;
                Some((ColumnPath::from(column.name.clone()), field.data_type()))
            }
            Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == "get_field" => {
                let (of, names) = args.split_first()?;
                let (mut path, mut data_type) = self.path(of)?;
                for name in names {
                    let (DataType::Struct(fields), name) = (data_type, text(name)?) else { return None };
                    data_type = fields.iter().find(|field: &&Arc<Field>| field.name() == name)?.data_type();
                    path = path.field(name);
                }
                Some((path, data_type))
            }
            _ => None,
        }
    }
}

/// A comparison with a constant.
fn compare(column: ColumnPath, data_type: &DataType, op: Comparison, constant: &ScalarValue) -> Option<Filter> {
    let value = literal(constant, data_type)?;
    let is_float = plain(data_type).is_floating();
    let zero_or_nan = differs(&value, data_type);
    if !is_float || matches!(value, Literal::Null) {
        return exact(Predicate::Compare { column, op, value });
    }
    let compare = |op| Predicate::Compare { column: column.clone(), op, value: value.clone() };
    let nan = || Predicate::Compare { column: column.clone(), op: Comparison::Eq, value: Literal::NaN };
    let wider = |predicate| Some(Filter { predicate, is_exact: false });
    match op {
        Comparison::Eq | Comparison::NotEq if !zero_or_nan => exact(compare(op)),
        Comparison::Eq => wider(compare(op)),
        // Rows with the other zero, or another NaN, are unequal there and equal here.
        Comparison::NotEq => None,
        // It is less than everything there.
        Comparison::Gt | Comparison::GtEq if is_negative_nan(constant) => None,
        Comparison::Gt | Comparison::GtEq if zero_or_nan => wider(compare(Comparison::GtEq)),
        Comparison::Gt | Comparison::GtEq => wider(compare(op)),
        Comparison::Lt | Comparison::LtEq if value == Literal::NaN => None,
        Comparison::Lt | Comparison::LtEq => wider(compare(Comparison::LtEq).or(nan())),
    }
}

/// Whether equality with this value is not the same on both sides.
fn differs(value: &Literal, data_type: &DataType) -> bool {
    let is_zero = |number: &Number| Some(number) == Number::parse("0").as_ref();
    plain(data_type).is_floating()
        && match value {
            Literal::NaN => true,
            Literal::Number(number) => is_zero(number),
            _ => false,
        }
}

fn is_negative_nan(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Float16(Some(v)) => v.is_nan() && v.is_sign_negative(),
        ScalarValue::Float32(Some(v)) => v.is_nan() && v.is_sign_negative(),
        ScalarValue::Float64(Some(v)) => v.is_nan() && v.is_sign_negative(),
        ScalarValue::Dictionary(_, value) => is_negative_nan(value),
        _ => false,
    }
}

/// The type of the values, without a dictionary.
fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain(values),
        other => other,
    }
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str()?,
        _ => None,
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_))
}

/// A constant for a column of this type, if it is of that type.
fn literal(value: &ScalarValue, data_type: &DataType) -> Option<Literal> {
    if let ScalarValue::Dictionary(_, value) = value {
        return literal(value, data_type);
    }
    let (own, data_type) = (value.data_type(), plain(data_type));
    let is_same = match (&own, data_type) {
        (DataType::Timestamp(a, zone), DataType::Timestamp(b, other)) => a == b && zone.is_some() == other.is_some(),
        (a, b) => a == b || (is_text(a) && is_text(b)) || (is_binary(a) && is_binary(b)),
    };
    is_same.then_some(())?;
    if value.is_null() {
        return Some(Literal::Null);
    }
    let scaled =
        |digits: String, scale: i8| Number::parse(&format!("{digits}e{}", -i32::from(scale))).map(Literal::Number);
    let instant = |value: i64, nanoseconds: i128| Literal::Timestamp(i128::from(value) * nanoseconds);
    Some(match value {
        ScalarValue::Boolean(Some(v)) => Literal::Boolean(*v),
        ScalarValue::Int8(Some(v)) => (*v).into(),
        ScalarValue::Int16(Some(v)) => (*v).into(),
        ScalarValue::Int32(Some(v)) => (*v).into(),
        ScalarValue::Int64(Some(v)) => (*v).into(),
        ScalarValue::UInt8(Some(v)) => (*v).into(),
        ScalarValue::UInt16(Some(v)) => (*v).into(),
        ScalarValue::UInt32(Some(v)) => (*v).into(),
        ScalarValue::UInt64(Some(v)) => (*v).into(),
        ScalarValue::Float16(Some(v)) => v.to_f64().into(),
        ScalarValue::Float32(Some(v)) => (*v).into(),
        ScalarValue::Float64(Some(v)) => (*v).into(),
        ScalarValue::Decimal32(Some(v), _, scale) => scaled(v.to_string(), *scale)?,
        ScalarValue::Decimal64(Some(v), _, scale) => scaled(v.to_string(), *scale)?,
        ScalarValue::Decimal128(Some(v), _, scale) => scaled(v.to_string(), *scale)?,
        ScalarValue::Decimal256(Some(v), _, scale) => scaled(v.to_string(), *scale)?,
        ScalarValue::Utf8(Some(v)) | ScalarValue::LargeUtf8(Some(v)) | ScalarValue::Utf8View(Some(v)) => {
            v.as_str().into()
        }
        ScalarValue::Binary(Some(v))
        | ScalarValue::LargeBinary(Some(v))
        | ScalarValue::BinaryView(Some(v))
        | ScalarValue::FixedSizeBinary(_, Some(v)) => v.clone().into(),
        ScalarValue::Date32(Some(v)) => Literal::Date(*v),
        ScalarValue::Date64(Some(v)) => instant(*v, 1_000_000),
        ScalarValue::Time32Second(Some(v)) => Literal::Time(i64::from(*v).checked_mul(1_000_000_000)?),
        ScalarValue::Time32Millisecond(Some(v)) => Literal::Time(i64::from(*v).checked_mul(1_000_000)?),
        ScalarValue::Time64Microsecond(Some(v)) => Literal::Time(v.checked_mul(1_000)?),
        ScalarValue::Time64Nanosecond(Some(v)) => Literal::Time(*v),
        ScalarValue::TimestampSecond(Some(v), _) => instant(*v, 1_000_000_000),
        ScalarValue::TimestampMillisecond(Some(v), _) => instant(*v, 1_000_000),
        ScalarValue::TimestampMicrosecond(Some(v), _) => instant(*v, 1_000),
        ScalarValue::TimestampNanosecond(Some(v), _) => instant(*v, 1),
        _ => return None,
    })
}
