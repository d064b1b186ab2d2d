//! SQL → [`Predicate`]: the condition of a `WHERE`.
//!
//! What is understood: comparisons (`=`, `<>`, `!=`, `<`, `<=`, `>`, `>=`) of columns with constants, either way
//! round, and with columns; `AND`, `OR`, `NOT`; `[NOT] IN (…)`; `[NOT] BETWEEN … AND …`; `IS [NOT] NULL`, `TRUE`,
//! `FALSE`, `UNKNOWN`; `[NOT] LIKE`, `ILIKE`, with `ESCAPE` (`\` without it); `starts_with(column, 'text')`; a boolean
//! column by itself. A column may be a field of a struct, `a.b.c`, and any element of a list, `any(tags) = 'x'` or
//! `'x' = any(tags)`; with fields, `any(stops.city)`.
//! Constants: numbers, `'text'`, `TRUE`, `FALSE`, `NULL`, `X'0fa0'`, `TIMESTAMP '…'`, `DATE '…'`, `TIME '…'`; a plain
//! `'…'` against a column of timestamps, dates or times is read as one. Column names are case-sensitive; `"…"`
//! quotes those with spaces or dots.

use sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, UnaryOperator,
    Value,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Tokenizer};

use super::builder::Subject;
use super::coerce::{parse_date, parse_time, parse_timestamp};
use super::{ColumnPath, Comparison, Literal, Number, Predicate};
use crate::error::{Error, Result};

/// Parses a condition.
///
/// [`Error::Invalid`] names the piece of SQL that is not understood, [`Error::Limit`] says that there is too
/// much of it: the text's length, the operators' number and the nesting are bounded, so that no text exhausts
/// the stack.
pub fn parse(text: &str) -> Result<Predicate> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Error::limit(format!("the condition is longer than {TEXT_BYTES_MAX} bytes")));
    }
    let dialect = GenericDialect {};
    let mut tokens = Tokenizer::new(&dialect, text).tokenize().map_err(|e| unreadable(&e.to_string()))?;
    if operators(&tokens) > OPERATORS_MAX {
        return Err(Error::limit(format!("the condition has more than {OPERATORS_MAX} words and operators")));
    }
    if tokens.iter().all(|t| matches!(t, Token::Whitespace(_))) {
        return Err(Error::invalid("the condition is empty; write one such as: dep_delay > 60"));
    }
    // After an operator, the parser would take it for a comparison with a subquery.
    for token in &mut tokens {
        if let Token::Word(word) = token
            && word.keyword == Keyword::ANY
        {
            word.keyword = Keyword::NoKeyword;
        }
    }
    let mut parser = Parser::new(&dialect).with_recursion_limit(DEPTH_MAX).with_tokens(tokens);
    let expr = parser.parse_expr().map_err(|e| match e {
        ParserError::RecursionLimitExceeded => Error::limit("the condition is nested too deep"),
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => unreadable(&message),
    })?;
    match parser.peek_token().token {
        Token::EOF => condition(&expr, 0),
        rest => Err(Error::invalid(format!("the condition should end before {}", short(&rest)))),
    }
}

const TEXT_BYTES_MAX: usize = 1 << 20;
/// The parser nests chains of operators to the left, one level each.
const OPERATORS_MAX: usize = 2_000;
const DEPTH_MAX: usize = 50;

/// Tokens that can nest expressions. Constants in lists, with their commas and signs, cannot.
fn operators(tokens: &[Token]) -> usize {
    let mut count = 0;
    let mut after_comma = false;
    for token in tokens {
        match token {
            Token::Whitespace(_) => continue,
            Token::Comma => after_comma = true,
            Token::Number(..) | Token::SingleQuotedString(_) => after_comma = false,
            Token::Minus if after_comma => after_comma = false,
            _ => {
                after_comma = false;
                count += 1;
            }
        }
    }
    count
}

fn condition(expr: &Expr, depth: usize) -> Result<Predicate> {
    if depth > DEPTH_MAX {
        return Err(Error::limit("the condition is nested too deep"));
    }
    let below = |expr: &Expr| condition(expr, depth + 1);
    let negated_if = |negated: bool, p: Predicate| if negated { !p } else { p };
    let is = |expr: &Expr, value| Ok::<_, Error>(Predicate::Is { condition: Box::new(below(expr)?), value });
    match expr {
        Expr::Nested(inner) => below(inner),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => Ok(!below(expr)?),
        Expr::BinaryOp { op: BinaryOperator::And, .. } => {
            Ok(Predicate::all(chain(expr, &BinaryOperator::And).into_iter().map(below).collect::<Result<Vec<_>>>()?))
        }
        Expr::BinaryOp { op: BinaryOperator::Or, .. } => {
            Ok(Predicate::any(chain(expr, &BinaryOperator::Or).into_iter().map(below).collect::<Result<Vec<_>>>()?))
        }
        Expr::BinaryOp { left, op, right } => {
            let op = comparison(op).ok_or_else(|| not_understood(expr))?;
            compare(term(left, expr)?, op, term(right, expr)?, expr)
        }
        Expr::IsNull(inner) => null_test(inner, depth),
        Expr::IsNotNull(inner) => Ok(!null_test(inner, depth)?),
        Expr::IsTrue(inner) => is(inner, Some(true)),
        Expr::IsNotTrue(inner) => Ok(!is(inner, Some(true))?),
        Expr::IsFalse(inner) => is(inner, Some(false)),
        Expr::IsNotFalse(inner) => Ok(!is(inner, Some(false))?),
        Expr::IsUnknown(inner) => is(inner, None),
        Expr::IsNotUnknown(inner) => Ok(!is(inner, None)?),
        Expr::InList { expr: left, list, negated } => {
            let left = term(left, expr)?;
            let list = list.iter().map(|e| term(e, expr)).collect::<Result<Vec<_>>>()?;
            Ok(negated_if(*negated, within(left, list, expr)?))
        }
        Expr::Between { expr: value, negated, low, high } => {
            let within = match (term(value, expr)?, term(low, expr)?, term(high, expr)?) {
                (Term::Column(column), Term::Literal(low), Term::Literal(high)) => {
                    Predicate::Between { column, low, high }
                }
                (Term::Column(column), ..) if column.is_any() => {
                    return Err(Error::invalid(format!("{column} can be between constants only")));
                }
                (value, low, high) => compare(value.clone(), Comparison::GtEq, low, expr)?.and(compare(
                    value,
                    Comparison::LtEq,
                    high,
                    expr,
                )?),
            };
            Ok(negated_if(*negated, within))
        }
        Expr::Function(call) if is_called(call, "starts_with") => match arguments(call).as_slice() {
            [column, prefix] => match (term(column, expr)?, term(prefix, expr)?) {
                (Term::Column(column), Term::Literal(Literal::String(prefix))) => {
                    Ok(Subject::from(column).starts_with(&prefix))
                }
                _ => Err(Error::invalid(format!("{} wants a column and a text in single quotes", short(expr)))),
            },
            _ => Err(Error::invalid(format!("{} wants a column and a text in single quotes", short(expr)))),
        },
        Expr::Like { negated, any: false, expr: value, pattern, escape_char } => {
            Ok(negated_if(*negated, like(value, pattern, escape_char.as_deref(), false, expr)?))
        }
        Expr::ILike { negated, any: false, expr: value, pattern, escape_char } => {
            Ok(negated_if(*negated, like(value, pattern, escape_char.as_deref(), true, expr)?))
        }
        other => match term(other, other)? {
            Term::Column(column) => Ok(Subject::from(column).is_true()),
            Term::Literal(Literal::Boolean(value)) => Ok(Predicate::Constant(Some(value))),
            Term::Literal(Literal::Null) => Ok(Predicate::Constant(None)),
            Term::Literal(value) => {
                Err(Error::invalid(format!("{value} is no condition: it is neither true nor false")))
            }
        },
    }
}

/// A side of a comparison.
#[derive(Debug, Clone)]
enum Term {
    Column(ColumnPath),
    Literal(Literal),
}

fn term(expr: &Expr, whole: &Expr) -> Result<Term> {
    Ok(match expr {
        Expr::Identifier(name) => Term::Column(ColumnPath::from(name.value.clone())),
        Expr::CompoundIdentifier(names) => Term::Column(path(names).ok_or_else(|| not_understood(expr))?),
        Expr::Function(call) if is_called(call, "any") => match arguments(call).as_slice() {
            [inner] => match term(inner, whole)? {
                Term::Column(path) => Term::Column(path.any()),
                Term::Literal(_) => return Err(not_understood(expr)),
            },
            _ => return Err(not_understood(expr)),
        },
        Expr::Nested(inner) => return term(inner, whole),
        Expr::Value(value) => Term::Literal(literal(&value.value).ok_or_else(|| not_understood(expr))?),
        Expr::UnaryOp { op: op @ (UnaryOperator::Minus | UnaryOperator::Plus), expr: inner } => {
            match term(inner, whole)? {
                Term::Literal(Literal::Number(n)) if *op == UnaryOperator::Minus => {
                    Term::Literal(Literal::Number(n.negated()))
                }
                Term::Literal(Literal::Number(n)) => Term::Literal(Literal::Number(n)),
                _ => return Err(not_understood(expr)),
            }
        }
        Expr::TypedString(typed) => {
            let text = typed.value.clone().into_string().ok_or_else(|| not_understood(expr))?;
            let value = match typed.data_type {
                DataType::Timestamp(..) | DataType::Datetime(_) => parse_timestamp(&text).map(Literal::Timestamp),
                DataType::Date => parse_date(&text).map(Literal::Date),
                DataType::Time(..) => parse_time(&text).map(Literal::Time),
                _ => return Err(not_understood(expr)),
            };
            Term::Literal(value.ok_or_else(|| Error::invalid(format!("{} is no valid time", short(expr))))?)
        }
        _ => return Err(not_understood(if whole_is_short(whole) { whole } else { expr })),
    })
}

fn path(names: &[Ident]) -> Option<ColumnPath> {
    let (first, rest) = names.split_first()?;
    Some(rest.iter().fold(ColumnPath::from(first.value.clone()), |path, name| path.field(name.value.clone())))
}

fn is_called(call: &Function, name: &str) -> bool {
    call.name.to_string().eq_ignore_ascii_case(name) && call.over.is_none() && call.filter.is_none()
}

/// The plain arguments of a function; none if there are others.
fn arguments(call: &Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &call.args else { return Vec::new() };
    let plain = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    plain.collect::<Option<_>>().unwrap_or_default()
}

fn literal(value: &Value) -> Option<Literal> {
    match value {
        Value::Number(text, _) => Number::parse(text).map(Literal::Number),
        Value::SingleQuotedString(text) => Some(Literal::String(text.clone())),
        Value::Boolean(value) => Some(Literal::Boolean(*value)),
        Value::Null => Some(Literal::Null),
        Value::HexStringLiteral(text) if text.len() % 2 == 0 && text.is_ascii() => {
            let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
            text.as_bytes().chunks(2).map(byte).collect::<Option<Vec<u8>>>().map(Literal::Binary)
        }
        _ => None,
    }
}

fn compare(left: Term, op: Comparison, right: Term, whole: &Expr) -> Result<Predicate> {
    Ok(match (left, right) {
        (Term::Column(column), Term::Literal(value)) => Predicate::Compare { column, op, value },
        (Term::Literal(value), Term::Column(column)) => Predicate::Compare { column, op: op.flip(), value },
        (Term::Column(left), Term::Column(right)) => Predicate::CompareColumns { left, op, right },
        (Term::Literal(left), Term::Literal(right)) => {
            let order = match (&left, &right) {
                (Literal::Null, _) | (_, Literal::Null) => return Ok(Predicate::Constant(None)),
                (Literal::Number(a), Literal::Number(b)) => a.order(b),
                (Literal::String(a), Literal::String(b)) => a.cmp(b),
                (Literal::Boolean(a), Literal::Boolean(b)) => a.cmp(b),
                _ => return Err(Error::invalid(format!("{} compares constants of two kinds", short(whole)))),
            };
            Predicate::Constant(Some(op.holds(order)))
        }
    })
}

fn within(left: Term, list: Vec<Term>, whole: &Expr) -> Result<Predicate> {
    if let Term::Column(column) = &left {
        let values = list.iter().map(|t| if let Term::Literal(v) = t { Some(v.clone()) } else { None });
        if let Some(values) = values.collect::<Option<Vec<_>>>() {
            return Ok(Predicate::In { column: column.clone(), values });
        }
    }
    let equal = list.into_iter().map(|value| compare(left.clone(), Comparison::Eq, value, whole));
    Ok(Predicate::any(equal.collect::<Result<Vec<_>>>()?))
}

fn null_test(expr: &Expr, depth: usize) -> Result<Predicate> {
    let mut inner = expr;
    while let Expr::Nested(nested) = inner {
        inner = nested;
    }
    match (inner, term(inner, inner)) {
        (_, Ok(Term::Column(column))) => Ok(Predicate::IsNull { column }),
        (other, _) => Ok(Predicate::Is { condition: Box::new(condition(other, depth + 1)?), value: None }),
    }
}

fn like(value: &Expr, pattern: &Expr, escape: Option<&Expr>, ignore_case: bool, whole: &Expr) -> Result<Predicate> {
    let text = |expr: &Expr| match term(expr, whole)? {
        Term::Literal(Literal::String(text)) => Ok(text),
        _ => Err(Error::invalid(format!("LIKE wants a pattern in single quotes, not {}", short(expr)))),
    };
    let Term::Column(column) = term(value, whole)? else {
        return Err(Error::invalid(format!("LIKE wants a column on its left, not {}", short(value))));
    };
    let escape = match escape.map(text).transpose()? {
        None => Some('\\'),
        Some(text) => {
            let mut chars = text.chars();
            let escape = chars.next();
            if chars.next().is_some() {
                return Err(Error::invalid(format!("ESCAPE wants one character, not '{text}'")));
            }
            escape
        }
    };
    Ok(Predicate::Like { column, pattern: text(pattern)?, escape, ignore_case })
}

/// The links of `a AND b AND c`, which the parser has as `(a AND b) AND c`.
fn chain<'a>(expr: &'a Expr, link: &BinaryOperator) -> Vec<&'a Expr> {
    let mut links = Vec::new();
    let mut rest = expr;
    while let Expr::BinaryOp { left, op, right } = rest
        && op == link
    {
        links.push(right.as_ref());
        rest = left;
    }
    links.push(rest);
    links.reverse();
    links
}

fn comparison(op: &BinaryOperator) -> Option<Comparison> {
    Some(match op {
        BinaryOperator::Eq => Comparison::Eq,
        BinaryOperator::NotEq => Comparison::NotEq,
        BinaryOperator::Lt => Comparison::Lt,
        BinaryOperator::LtEq => Comparison::LtEq,
        BinaryOperator::Gt => Comparison::Gt,
        BinaryOperator::GtEq => Comparison::GtEq,
        _ => return None,
    })
}

fn unreadable(message: &str) -> Error {
    Error::invalid(format!("the condition cannot be read: {}", message.trim_end_matches('.')))
}

fn not_understood(piece: &Expr) -> Error {
    Error::invalid(format!(
        "the condition holds {}, which is not understood; there are comparisons of columns with constants and \
         columns, AND, OR, NOT, IN, BETWEEN, LIKE, IS NULL",
        short(piece)
    ))
}

const PIECE_CHARS_MAX: usize = 80;

fn whole_is_short(expr: &Expr) -> bool {
    expr.to_string().chars().count() <= PIECE_CHARS_MAX
}

fn short(piece: &impl ToString) -> String {
    let text = piece.to_string();
    match text.char_indices().nth(PIECE_CHARS_MAX) {
        Some((cut, _)) => format!("`{}…`", text.get(..cut).unwrap_or_default()),
        None => format!("`{text}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predicate::col;

    fn same(text: &str, built: Predicate) {
        assert_eq!(parse(text).unwrap(), built, "{text}");
        assert_eq!(parse(&built.to_string()).unwrap(), built, "{text} printed as {built}");
    }

    fn fails(text: &str) -> String {
        let e = parse(text).unwrap_err();
        assert!(!e.to_string().contains('\n'), "{e}");
        e.to_string()
    }

    #[test]
    fn comparisons() {
        same("a = 1", col("a").eq(1));
        same("1 < a", col("a").gt(1));
        same("-1.5 >= a", col("a").le(-1.5));
        same("a <> b", col("a").ne(col("b")));
        same("a != 'it''s'", col("a").ne("it's"));
        same("\"a b\" = \"select\"", col("a b").eq(col("select")));
        same("\"date\" = DATE '2013-01-31'", col("date").eq(Literal::Date(15_736)));
        same("a <= +1e2", col("a").le(100));
        same("a = NULL", col("a").eq(Literal::Null));
        same("a = X'0fA0'", col("a").eq(Literal::Binary(vec![0x0f, 0xa0])));
        same("a > TIMESTAMP '1970-01-01 00:00:01.5'", col("a").gt(Literal::Timestamp(1_500_000_000)));
        same("a > TIMESTAMP '1970-01-01T02:00:01+02:00'", col("a").gt(Literal::Timestamp(1_000_000_000)));
        same("a > TIME '00:00:01.5'", col("a").gt(Literal::Time(1_500_000_000)));
        same("a", col("a").is_true());
        same("TRUE", Predicate::Constant(Some(true)));
        assert_eq!(parse("1 = 1.0").unwrap(), Predicate::Constant(Some(true)));
        assert_eq!(parse("'a' > 'b'").unwrap(), Predicate::Constant(Some(false)));
        assert_eq!(parse("1 = null").unwrap(), Predicate::Constant(None));
    }

    #[test]
    fn logic() {
        let (a, b, c) = (|| col("a").eq(1), || col("b").eq(2), || col("c").eq(3));
        same("a = 1 and b = 2 or not c = 3", a().and(b()).or(!c()));
        same("a = 1 and (b = 2 or c = 3)", a().and(b().or(c())));
        same("a = 1 AND b = 2 AND c = 3", Predicate::all([a(), b(), c()]));
        same("not (a = 1 and b = 2)", !a().and(b()));
        same("a is null", col("a").is_null());
        same("(a) is not null", col("a").is_not_null());
        same("a = 1 is true", Predicate::Is { condition: Box::new(a()), value: Some(true) });
        same("(a = 1) is unknown", Predicate::Is { condition: Box::new(a()), value: None });
    }

    #[test]
    fn lists_ranges_and_patterns() {
        same("a in (1, -2, 3)", col("a").is_in([1, -2, 3]));
        same("a not in ('x', NULL)", !col("a").is_in([Some("x"), None]));
        same("1 in (a, b)", col("a").eq(1).or(col("b").eq(1)));
        same("a between 1 and 2 and b", col("a").between(1, 2).and(col("b").is_true()));
        same("a not between 1 and b", !col("a").between(1, col("b")));
        same("a like 'x%'", col("a").like("x%"));
        same("a not like '%x'", !col("a").like("%x"));
        let like =
            |escape, ignore_case| Predicate::Like { column: "a".into(), pattern: "x!%".into(), escape, ignore_case };
        same("a ilike 'x!%' escape '!'", like(Some('!'), true));
        same("a like 'x!%' escape ''", like(None, false));
    }

    #[test]
    fn fields_elements_and_prefixes() {
        same("a.b = 1", col("a").field("b").eq(1));
        same("a.\"b c\".d is not null", col("a").field("b c").field("d").is_not_null());
        same("any(tags) = 'x'", col("tags").any().eq("x"));
        same("'x' = ANY(tags)", col("tags").any().eq("x"));
        same("5 < any(a.b)", col("a").field("b").any().gt(5));
        same("any(a.b) in (1, 2)", col("a").any().field("b").is_in([1, 2]));
        same("any(a) between 1 and 2", col("a").any().between(1, 2));
        same("not any(a) like 'x%'", !col("a").any().like("x%"));
        same("any(a) is null", col("a").any().is_null());
        same("a = 1 and any(b) > 2 or any(c) = 3", col("a").eq(1).and(col("b").any().gt(2)).or(col("c").any().eq(3)));
        same("any(flags)", col("flags").any().is_true());
        same("a between b and 2", col("a").between(col("b"), 2));
        same("starts_with(a.b, '10%_\\')", col("a").field("b").starts_with("10%_\\"));
        same("\"any\" = 1 and \"a.b\" = 2", col("any").eq(1).and(col("a.b").eq(2)));
        assert_eq!(col("a").starts_with("10%").to_string(), "a LIKE '10\\%%'");
        assert!(fails("any(a) between b and 2").contains("constants only"));
        assert!(fails("any(1) = 2").contains("not understood"));
        assert!(fails("starts_with(a)").contains("wants a column and a text"));
        assert!(fails("starts_with(a, b)").contains("wants a column and a text"));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let rest = "which is not understood; there are comparisons of columns with constants and columns, AND, OR, NOT, \
                    IN, BETWEEN, LIKE, IS NULL";
        assert_eq!(fails("a + 1 > 5"), format!("the condition holds `a + 1 > 5`, {rest}"));
        assert_eq!(fails("lower(a) = 'x'"), format!("the condition holds `lower(a) = 'x'`, {rest}"));
        assert_eq!(fails("a in (select 1)"), format!("the condition holds `a IN (SELECT 1)`, {rest}"));
        assert_eq!(fails("5"), "5 is no condition: it is neither true nor false");
        assert_eq!(fails("a = 1 b"), "the condition should end before `b`");
        assert_eq!(fails("  "), "the condition is empty; write one such as: dep_delay > 60");
        assert!(fails("a =").starts_with("the condition cannot be read: "));
        assert!(fails("a = 'x").starts_with("the condition cannot be read: "));
        assert!(fails("a > TIMESTAMP 'yesterday'").contains("no valid time"));
        assert!(fails("a > DATE '2013-02-30'").contains("no valid time"));
        assert!(fails("a like b").contains("single quotes"));
        assert!(fails("1 = 'a'").contains("two kinds"));
    }

    #[test]
    fn deep_and_long_conditions_are_bounded() {
        for (open, close) in
            [("(", ")"), ("not ", ""), ("not (", ")"), ("- ", ""), ("a = (", ")"), ("f(", ")"), ("[", "]")]
        {
            for n in [20, 45, 100, 10_000] {
                let _ = parse(&format!("{}a{}", open.repeat(n), close.repeat(n)));
            }
        }
        assert!(matches!(parse(&format!("{}a{}", "(".repeat(500), ")".repeat(500))), Err(Error::Limit(_))));
        let chain = |n: usize, op: &str| vec!["a"; n].join(op);
        assert_eq!(parse(&chain(900, " and ")).unwrap().columns(), ["a"]);
        assert_eq!(parse(&chain(900, " or ")).unwrap().columns(), ["a"]);
        assert!(matches!(parse(&chain(100_000, " or ")), Err(Error::Limit(_))));
        assert!(parse(&chain(900, " + ")).is_err());
        assert!(parse(&chain(900, " = ")).is_err());
        let list = (0..50_000).map(|i| format!("-{i}")).collect::<Vec<_>>().join(",");
        let Predicate::In { values, .. } = parse(&format!("a in ({list})")).unwrap() else { panic!() };
        assert_eq!(values.len(), 50_000);
    }
}
