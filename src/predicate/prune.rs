//! A bound predicate over bounds: which answers can its rows give at all?
//!
//! Each condition yields the *set* of truth values that some row may have. The sets are too large rather than
//! too small: rows are dropped only when "true" is in no way possible, and all match only when nothing else is.
//! What is missing, ill-typed or contradicts itself counts as not known.

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

use super::bind::{BoundColumn, BoundPredicate, Node};
use super::evaluate::{answers_over, compare, compare_scalar, plain, value_type};
use super::like::{Kind, Pattern};
use super::{Bounds, Comparison, Verdict};
use crate::null;

impl BoundPredicate {
    /// Whether any or all of the rows that `bounds` describes match.
    pub fn prune(&self, bounds: &dyn Bounds) -> Verdict {
        if bounds.rows() == 0 {
            return Verdict::Drop;
        }
        let outcomes = self.with_facts(bounds, Sources::ALL, |facts| self.root.outcomes(facts, Wanted::True));
        match outcomes {
            TRUE => Verdict::AllMatch,
            set if set & TRUE == 0 => Verdict::Drop,
            _ => Verdict::Keep,
        }
    }

    /// Whether some row may meet this condition of the predicate, as far as these sources tell.
    pub(super) fn can_match(&self, node: &Node, bounds: &dyn Bounds, sources: Sources) -> bool {
        self.with_facts(bounds, sources, |facts| node.outcomes(facts, Wanted::True)) & TRUE != 0
    }

    fn with_facts<T>(&self, bounds: &dyn Bounds, sources: Sources, ask: impl FnOnce(&Facts<'_>) -> T) -> T {
        let columns = self.columns.iter().map(|c| Known::of(bounds, c)).collect();
        let may_contain = |column: usize, value: &ArrayRef| {
            !sources.filters || self.columns.get(column).is_none_or(|column| bounds.may_contain(&column.path, value))
        };
        let values = |column: usize| {
            let column = self.columns.get(column).filter(|_| sources.values)?;
            let values = bounds.values(&column.path)?;
            (*values.data_type() == column.data_type && values.null_count() == 0).then_some(values)
        };
        ask(&Facts { columns, may_contain: &may_contain, values: &values })
    }
}

/// What is asked besides bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sources {
    pub(super) filters: bool,
    pub(super) values: bool,
}

impl Sources {
    pub(super) const BOUNDS: Sources = Sources { filters: false, values: false };
    pub(super) const ALL: Sources = Sources { filters: true, values: true };
}

/// What is known of the rows.
struct Facts<'a> {
    columns: Vec<Known>,
    may_contain: &'a dyn Fn(usize, &ArrayRef) -> bool,
    values: &'a dyn Fn(usize) -> Option<ArrayRef>,
}

/// What those who ask for outcomes want to know of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Whether "true" is among them, and alone: once it is not, the others do not matter.
    True,
    All,
}

/// A set of truth values.
type Outcomes = u8;
const TRUE: Outcomes = 1;
const FALSE: Outcomes = 2;
const UNKNOWN: Outcomes = 4;

impl Node {
    /// By bounds and filters, then by the values that there are.
    fn outcomes(&self, facts: &Facts<'_>, wanted: Wanted) -> Outcomes {
        match self {
            Node::And(all) => Joint::of(all).iter().fold(TRUE, |set, joint| match wanted {
                Wanted::True if set & TRUE == 0 => set,
                _ => and(set, joint.outcomes(facts, true, wanted)),
            }),
            Node::Or(any) => {
                not(Joint::of(any).iter().fold(TRUE, |set, joint| and(set, not(joint.outcomes(facts, false, wanted)))))
            }
            Node::Not(inner) if self.column().is_none() => not(inner.outcomes(facts, Wanted::All)),
            Node::Any { column, condition, .. } => {
                let elements = Joint { column: Some(*column), nodes: vec![condition] };
                any(elements.outcomes(facts, true, Wanted::True))
            }
            Node::Is { condition, value } if self.column().is_none() => {
                is(condition.outcomes(facts, Wanted::All), *value)
            }
            _ => Joint { column: self.column(), nodes: vec![self] }.outcomes(facts, true, wanted),
        }
    }

    /// The one column that it is about.
    fn column(&self) -> Option<usize> {
        match self {
            // Of two conditions on any elements, each may be met by another one.
            Node::Constant(_) | Node::Any { .. } => None,
            Node::Known { column, .. }
            | Node::In { column, .. }
            | Node::Compare { column, .. }
            | Node::IsNull { column }
            | Node::Like { column, .. } => Some(*column),
            Node::CompareColumns { left, right, .. } => (left == right).then_some(*left),
            Node::Is { condition: inner, .. } | Node::Not(inner) => inner.column(),
            Node::And(all) | Node::Or(all) => {
                let first = all.first()?.column()?;
                all.iter().all(|node| node.column() == Some(first)).then_some(first)
            }
        }
    }

    /// Adds the columns that it is about, each once.
    pub(super) fn columns(&self, columns: &mut Vec<usize>) {
        let mut add = |column: usize| {
            if !columns.contains(&column) {
                columns.push(column);
            }
        };
        match self {
            Node::Constant(_) => {}
            Node::Known { column, .. }
            | Node::Compare { column, .. }
            | Node::In { column, .. }
            | Node::Any { column, .. }
            | Node::IsNull { column }
            | Node::Like { column, .. } => add(*column),
            Node::CompareColumns { left, right, .. } => {
                add(*left);
                add(*right);
            }
            Node::Is { condition: inner, .. } | Node::Not(inner) => inner.columns(columns),
            Node::And(all) | Node::Or(all) => all.iter().for_each(|node| node.columns(columns)),
        }
    }

    /// Whether its answer depends on values, and not only on their being there.
    fn is_about_values(&self) -> bool {
        match self {
            Node::Constant(_) | Node::Known { .. } | Node::IsNull { .. } => false,
            Node::Compare { .. } | Node::In { .. } | Node::Like { .. } | Node::CompareColumns { .. } => true,
            Node::Any { condition, .. } => condition.is_about_values(),
            Node::Is { condition: inner, .. } | Node::Not(inner) => inner.is_about_values(),
            Node::And(all) | Node::Or(all) => all.iter().any(Node::is_about_values),
        }
    }

    /// By bounds and filters alone.
    fn by_bounds(&self, facts: &Facts<'_>) -> Outcomes {
        let nothing = Known::default();
        let column = |index: usize| facts.columns.get(index).unwrap_or(&nothing);
        match self {
            Node::Constant(value) => outcome(*value),
            Node::Known { column: c, value } => column(*c).or_null(outcome(Some(*value))),
            Node::Compare { column: c, op, value } => {
                let known = column(*c);
                let edges = Edges { min: Some(value), max: Some(value) };
                let mut set = ranges(*op, known.edges(), edges, &|a, op, b| single(compare_scalar(a, op, b)));
                // What only a row with this very value answers.
                let needs_it = match op {
                    Comparison::Eq => TRUE,
                    Comparison::NotEq => FALSE,
                    _ => 0,
                };
                if set & needs_it != 0 && known.nulls != Nulls::All && !(facts.may_contain)(*c, value) {
                    set &= !needs_it;
                }
                known.or_null(set)
            }
            Node::CompareColumns { left, op, right, common } => {
                let (left, right) = (column(*left), column(*right));
                let wide = |edge: &Option<ArrayRef>| edge.as_ref().and_then(|e| common.widen(e).ok());
                let (left_wide, right_wide) = (
                    Known { min: wide(&left.min), max: wide(&left.max), ..Known::default() },
                    Known { min: wide(&right.min), max: wide(&right.max), ..Known::default() },
                );
                let values = ranges(*op, left_wide.edges(), right_wide.edges(), &|a, op, b| single(compare(a, op, b)));
                // A NULL on either side makes the row unknown; where one side is always NULL, all rows are.
                match left.or_null(values) | right.or_null(values) {
                    _ if left.nulls == Nulls::All || right.nulls == Nulls::All => UNKNOWN,
                    set => set,
                }
            }
            Node::In { column: c, set } => {
                let known = column(*c);
                let candidates = set.between(known.min.as_ref(), known.max.as_ref());
                let may_be = |at| known.nulls == Nulls::All || (facts.may_contain)(*c, &candidates.slice(at, 1));
                let yes = if (0..candidates.len()).any(may_be) { TRUE } else { 0 };
                // All values are the same one, and it is in the set.
                let edges = known.edges();
                let is_one = edges
                    .min
                    .zip(edges.max)
                    .is_some_and(|(min, max)| single(compare(min, Comparison::Eq, max)) == Some(true));
                let no = match (is_one && candidates.len() == 1, set.has_null) {
                    (true, _) => 0,
                    (false, true) => UNKNOWN,
                    (false, false) => FALSE,
                };
                known.or_null(yes | no)
            }
            Node::Any { condition, .. } => any(condition.by_bounds(facts)),
            Node::IsNull { column: c } => match column(*c).nulls {
                Nulls::All => TRUE,
                Nulls::None => FALSE,
                Nulls::Some => TRUE | FALSE,
            },
            Node::Like { column: c, pattern } => {
                let known = column(*c);
                known.or_null(like(pattern, known))
            }
            Node::Is { condition, value } => is(condition.by_bounds(facts), *value),
            Node::Not(inner) => not(inner.by_bounds(facts)),
            Node::And(all) => all.iter().fold(TRUE, |set, node| and(set, node.by_bounds(facts))),
            // De Morgan's law holds for three values too.
            Node::Or(any) => not(any.iter().fold(TRUE, |set, node| and(set, not(node.by_bounds(facts))))),
        }
    }
}

/// Conditions under one AND or OR that are about the same column: `x > 5 AND x < 9` are asked together, since a value
/// must meet both. One condition of several columns is by itself.
struct Joint<'a> {
    column: Option<usize>,
    nodes: Vec<&'a Node>,
}

impl<'a> Joint<'a> {
    fn of(nodes: &'a [Node]) -> Vec<Joint<'a>> {
        let mut joints: Vec<Joint<'a>> = Vec::new();
        for node in nodes {
            let column = node.column();
            match joints.iter_mut().find(|joint| column.is_some() && joint.column == column) {
                Some(joint) => joint.nodes.push(node),
                None => joints.push(Joint { column, nodes: vec![node] }),
            }
        }
        joints
    }

    fn outcomes(&self, facts: &Facts<'_>, is_and: bool, wanted: Wanted) -> Outcomes {
        let Some(column) = self.column else {
            // One node of several columns, or of none.
            return self.nodes.first().map_or(TRUE, |node| match node {
                Node::Constant(_) | Node::CompareColumns { .. } => node.by_bounds(facts),
                _ => node.outcomes(facts, wanted),
            });
        };
        let sets = self.nodes.iter().map(|node| node.by_bounds(facts));
        let set = match is_and {
            true => sets.fold(TRUE, and),
            false => not(sets.fold(TRUE, |set, next| and(set, not(next)))),
        };
        let is_open = match wanted {
            Wanted::True => set != TRUE && set & TRUE != 0,
            Wanted::All => !set.is_power_of_two(),
        };
        if !is_open || !self.nodes.iter().any(|node| node.is_about_values()) {
            return set;
        }
        // Neither says too little; where they contradict each other, neither is believed.
        match (facts.values)(column).and_then(|values| self.over_values(column, &values, facts, is_and)) {
            Some(by_values) if by_values & set != 0 => by_values & set,
            _ => set,
        }
    }

    /// The outcomes for these values of the column, and for NULL as far as it is there.
    fn over_values(&self, column: usize, values: &ArrayRef, facts: &Facts<'_>, is_and: bool) -> Option<Outcomes> {
        let outcomes = |array: &ArrayRef| {
            let (yes, no, unknown) = answers_over(&self.nodes, is_and, column, array).ok()?;
            let one = |is: bool, set: Outcomes| if is { set } else { 0 };
            Some(one(yes, TRUE) | one(no, FALSE) | one(unknown, UNKNOWN))
        };
        let null = || outcomes(&null::one(values.data_type()).ok()?);
        match facts.columns.get(column).map_or(Nulls::Some, |known| known.nulls) {
            Nulls::None => outcomes(values),
            Nulls::Some => Some(outcomes(values)? | null()?),
            Nulls::All => null(),
        }
    }
}

/// Of any elements, from those of all elements: there may be none, or no list.
fn any(elements: Outcomes) -> Outcomes {
    (elements & TRUE) | FALSE | UNKNOWN
}

fn is(set: Outcomes, value: Option<bool>) -> Outcomes {
    let is = outcome(value);
    let yes = if set & is != 0 { TRUE } else { 0 };
    let no = if set & !is != 0 { FALSE } else { 0 };
    yes | no
}

fn outcome(value: Option<bool>) -> Outcomes {
    match value {
        Some(true) => TRUE,
        Some(false) => FALSE,
        None => UNKNOWN,
    }
}

fn not(set: Outcomes) -> Outcomes {
    let swap = |from, to| if set & from != 0 { to } else { 0 };
    swap(TRUE, FALSE) | swap(FALSE, TRUE) | (set & UNKNOWN)
}

/// Every conjunction of an outcome of one side with one of the other.
fn and(left: Outcomes, right: Outcomes) -> Outcomes {
    let yes = left & right & TRUE;
    let no = (left | right) & FALSE;
    // Unknown: one side is, and the other is that or true.
    let unknown = (left & UNKNOWN != 0 && right & (TRUE | UNKNOWN) != 0)
        || (right & UNKNOWN != 0 && left & (TRUE | UNKNOWN) != 0);
    yes | no | if unknown { UNKNOWN } else { 0 }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Nulls {
    None,
    #[default]
    Some,
    All,
}

/// What can be relied on of a column's bounds: each value that is not NULL lies between `min` and `max`.
#[derive(Debug, Default)]
struct Known {
    min: Option<ArrayRef>,
    max: Option<ArrayRef>,
    nulls: Nulls,
}

#[derive(Debug, Clone, Copy)]
struct Edges<'a> {
    min: Option<&'a ArrayRef>,
    max: Option<&'a ArrayRef>,
}

impl Known {
    fn of(bounds: &dyn Bounds, column: &BoundColumn) -> Known {
        let BoundColumn { path, data_type, .. } = column;
        let given = bounds.column(path);
        let usable = |edge: &Option<ArrayRef>| {
            let edge = edge.as_ref().filter(|e| e.len() == 1 && value_type(e.data_type()) == data_type)?;
            plain(edge).ok().filter(|e| e.logical_null_count() == 0 && !is_nan(e))
        };
        let (mut min, mut max) = (usable(&given.min), usable(&given.max));
        if let (Some(least), Some(greatest)) = (&min, &max)
            && single(compare(least, Comparison::Gt, greatest)) != Some(false)
        {
            (min, max) = (None, None);
        }
        // NaN is greater than any bound.
        if data_type.is_floating() && given.nan_count != Some(0) {
            max = None;
        }
        let nulls = match given.null_count {
            Some(0) => Nulls::None,
            // How many elements lists have is not known.
            Some(n) if n == bounds.rows() && !path.is_any() => Nulls::All,
            _ => Nulls::Some,
        };
        Known { min, max, nulls }
    }

    fn edges(&self) -> Edges<'_> {
        Edges { min: self.min.as_ref(), max: self.max.as_ref() }
    }

    /// The outcomes for values, and unknown for NULL, as far as either is there.
    fn or_null(&self, values: Outcomes) -> Outcomes {
        match self.nulls {
            Nulls::None => values,
            Nulls::Some => values | UNKNOWN,
            Nulls::All => UNKNOWN,
        }
    }
}

/// The outcomes of comparing any value between the edges on the left with any between those on the right.
fn ranges(
    op: Comparison,
    left: Edges<'_>,
    right: Edges<'_>,
    ask: &dyn Fn(&ArrayRef, Comparison, &ArrayRef) -> Option<bool>,
) -> Outcomes {
    let surely =
        |a: Option<&ArrayRef>, op, b: Option<&ArrayRef>| a.zip(b).and_then(|(a, b)| ask(a, op, b)) == Some(true);
    let never_if = |never: bool, set: Outcomes| if never { 0 } else { set };
    let holds = |less: Comparison, not_less: Comparison| {
        // `left less right`: true somewhere unless even the least is not; false somewhere unless the greatest is.
        never_if(surely(left.min, not_less, right.max), TRUE) | never_if(surely(left.max, less, right.min), FALSE)
    };
    match op {
        Comparison::Lt => holds(Comparison::Lt, Comparison::GtEq),
        Comparison::LtEq => holds(Comparison::LtEq, Comparison::Gt),
        Comparison::Gt => not(holds(Comparison::LtEq, Comparison::Gt)),
        Comparison::GtEq => not(holds(Comparison::Lt, Comparison::GtEq)),
        Comparison::Eq => {
            let apart = surely(left.min, Comparison::Gt, right.max) || surely(left.max, Comparison::Lt, right.min);
            // Both ranges are the same one point: max <= min on both diagonals.
            let one = surely(left.max, Comparison::LtEq, right.min) && surely(left.min, Comparison::GtEq, right.max);
            never_if(apart, TRUE) | never_if(one, FALSE)
        }
        Comparison::NotEq => not(ranges(Comparison::Eq, left, right, ask)),
    }
}

fn like(pattern: &Pattern, known: &Known) -> Outcomes {
    let prefix = pattern.prefix.as_str();
    let (min, max) = (known.min.as_ref().and_then(text), known.max.as_ref().and_then(text));
    // Texts with the prefix are those from it up to the first one that is greater without having it.
    let none = max.is_some_and(|max| max < prefix) || min.is_some_and(|min| min > prefix && !min.starts_with(prefix));
    let all = match pattern.kind() {
        Kind::Prefix => {
            prefix.is_empty()
                || (min.is_some_and(|m| m.starts_with(prefix)) && max.is_some_and(|m| m.starts_with(prefix)))
        }
        Kind::Exact => min == Some(prefix) && max == Some(prefix),
        _ => false,
    };
    match (none, all) {
        (true, _) => FALSE,
        (_, true) => TRUE,
        _ => TRUE | FALSE,
    }
}

fn text(edge: &ArrayRef) -> Option<&str> {
    match edge.data_type() {
        DataType::Utf8 => edge.as_string_opt::<i32>().map(|a| a.value(0)),
        DataType::LargeUtf8 => edge.as_string_opt::<i64>().map(|a| a.value(0)),
        DataType::Utf8View => edge.as_string_view_opt().map(|a| a.value(0)),
        _ => None,
    }
}

fn is_nan(edge: &ArrayRef) -> bool {
    match edge.data_type() {
        DataType::Float16 => edge.as_primitive::<Float16Type>().value(0).is_nan(),
        DataType::Float32 => edge.as_primitive::<Float32Type>().value(0).is_nan(),
        DataType::Float64 => edge.as_primitive::<Float64Type>().value(0).is_nan(),
        _ => false,
    }
}

/// The answer of a comparison of one element; `None` when it is unknown or failed.
fn single(answer: crate::error::Result<arrow_array::BooleanArray>) -> Option<bool> {
    answer.ok().filter(|a| a.len() == 1 && a.is_valid(0)).map(|a| a.value(0))
}
