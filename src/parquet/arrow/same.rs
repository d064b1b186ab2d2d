//! Whether two files hold the same columns, so that the pages of one may stand in the other.

use arrow_schema::DataType;

use super::node::{Kind, Node, unpacked};
use super::{FIELD_ID_KEY, Leaf, ParquetSchema, ValueOrder};
use crate::error::{Error, Result};
use crate::parquet::format::Type;

/// Checks that pages of `theirs` mean the same under the schema `mine`: the same fields in the same order, with the same
/// nullability, lists and maps, physical and logical types, and field ids where both have them.
///
/// The names of the groups inside of lists and maps are free, as they are for readers; so are Arrow types.
///
/// # Errors
/// [`Error::Invalid`] naming the first column that differs, and how.
pub fn check_same(mine: &ParquetSchema, theirs: &ParquetSchema) -> Result<()> {
    let pair = Pair { mine, theirs };
    pair.fields("", &mine.nodes, &theirs.nodes)
}

struct Pair<'a> {
    mine: &'a ParquetSchema,
    theirs: &'a ParquetSchema,
}

impl Pair<'_> {
    fn fields(&self, above: &str, mine: &[Node], theirs: &[Node]) -> Result<()> {
        let path = |node: &Node| join(above, node.field.name());
        for (a, b) in mine.iter().zip(theirs) {
            if a.field.name() != b.field.name() {
                return Err(differs(&path(a), format!("\"{}\" stands in its place", b.field.name())));
            }
            self.node(&path(a), a, b)?;
        }
        match (mine.get(theirs.len()), theirs.get(mine.len())) {
            (Some(missing), _) => Err(differs(&path(missing), "it is missing".to_owned())),
            (_, Some(extra)) => Err(differs(&path(extra), "there is no such column".to_owned())),
            (None, None) => Ok(()),
        }
    }

    fn node(&self, path: &str, a: &Node, b: &Node) -> Result<()> {
        // Levels first: "optional" is what people know of them.
        if a.field.is_nullable() != b.field.is_nullable() {
            let word = |node: &Node| if node.field.is_nullable() { "optional" } else { "required" };
            return Err(differs(path, format!("{}, where it is {}", word(b), word(a))));
        }
        let id = |node: &Node| node.field.metadata().get(FIELD_ID_KEY).cloned();
        if let (Some(x), Some(y)) = (id(a), id(b))
            && x != y
        {
            return Err(differs(path, format!("field id {y}, where it is {x}")));
        }
        let is_map = |node: &Node| matches!(unpacked(node.field.data_type()), DataType::Map(..));
        match (&a.kind, &b.kind) {
            _ if (a.rep, a.slot, a.present) != (b.rep, b.slot, b.present) => {
                Err(differs(path, "its levels nest in another way".to_owned()))
            }
            (Kind::Leaf(x), Kind::Leaf(y)) => match (self.mine.leaves.get(*x), self.theirs.leaves.get(*y)) {
                (Some(x), Some(y)) => leaf(path, x, y),
                _ => Ok(()),
            },
            (Kind::Struct(x), Kind::Struct(y)) => self.fields(path, x, y),
            (Kind::List(x), Kind::List(y)) if is_map(a) && is_map(b) => match (&x.kind, &y.kind) {
                // Keys and values go by their place.
                (Kind::Struct(x), Kind::Struct(y)) => x
                    .iter()
                    .zip(y)
                    .zip(["key", "value"])
                    .try_for_each(|((x, y), name)| self.node(&join(path, name), x, y)),
                _ => Ok(()),
            },
            (Kind::List(x), Kind::List(y)) if is_map(a) == is_map(b) => self.node(&join(path, "element"), x, y),
            _ => Err(differs(path, format!("{}, where it is {}", word(b), word(a)))),
        }
    }
}

fn leaf(path: &str, a: &Leaf, b: &Leaf) -> Result<()> {
    // In which of its orders a type's bounds are is told by each file's footer.
    let order = |leaf: &Leaf| match leaf.order {
        ValueOrder::FloatTotal => ValueOrder::Float,
        ValueOrder::Chronological => ValueOrder::Undefined,
        order => order,
    };
    let stored = |leaf: &Leaf| (leaf.physical, leaf.type_length, leaf.def_max, leaf.rep_max, order(leaf));
    // What a bare integer means, only Arrow's types say: durations of any unit are stored so.
    let is_bare = a.logical.is_none() && matches!(a.physical, Type::Int32 | Type::Int64);
    let (of_a, of_b) = (unpacked(&a.data_type), unpacked(&b.data_type));
    if stored(a) == stored(b) && a.logical == b.logical {
        if is_bare && of_a != of_b {
            return Err(differs(path, format!("{of_b}, where it is {of_a}")));
        }
        return Ok(());
    }
    let text = |leaf: &Leaf| {
        let length = if leaf.type_length > 0 { format!("({})", leaf.type_length) } else { String::new() };
        let logical = leaf.logical.as_ref().map_or(String::new(), |logical| format!(" {logical:?}"));
        format!("{:?}{length}{logical}", leaf.physical)
    };
    Err(differs(path, format!("{}, where it is {}", text(b), text(a))))
}

fn word(node: &Node) -> &'static str {
    match (&node.kind, unpacked(node.field.data_type())) {
        (Kind::Leaf(_), _) => "a column of values",
        (Kind::Struct(_), _) => "a struct",
        (Kind::List(_), DataType::Map(..)) => "a map",
        (Kind::List(_), _) => "a list",
    }
}

fn join(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") }
}

fn differs(path: &str, how: String) -> Error {
    Error::invalid(format!("another schema: {how}")).in_column(path)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::{Field, Fields, Schema, TimeUnit};

    use super::super::to_parquet;
    use super::*;

    fn check(mine: DataType, theirs: DataType) -> String {
        let schema = |t| to_parquet(&Schema::new(vec![Field::new("c", t, true)])).expect("a schema");
        check_same(&schema(mine), &schema(theirs)).err().map(|e| e.to_string()).unwrap_or_default()
    }

    fn list(name: &str, of: DataType, nullable: bool) -> DataType {
        DataType::List(Arc::new(Field::new(name, of, nullable)))
    }

    fn of_fields(fields: Vec<Field>) -> DataType {
        DataType::Struct(Fields::from(fields))
    }

    #[test]
    fn what_is_stored_alike_is_the_same() {
        use DataType::*;
        assert_eq!(check(Utf8, LargeUtf8), "");
        assert_eq!(check(Dictionary(Int8.into(), Utf8.into()), Utf8View), "");
        assert_eq!(check(list("item", Int32, true), list("element", Int32, true)), "");
    }

    #[test]
    fn the_first_difference_is_named() {
        use DataType::*;
        let e = check(Int32, Int64);
        assert_eq!(e, "column c: another schema: Int64, where it is Int32");
        let (s, us) = (Timestamp(TimeUnit::Millisecond, None), Timestamp(TimeUnit::Microsecond, None));
        assert!(check(s, us).starts_with("column c: another schema: Int64 Timestamp("));
        let e = check(Duration(TimeUnit::Second), Duration(TimeUnit::Millisecond));
        assert_eq!(e, "column c: another schema: Duration(ms), where it is Duration(s)");
        let e = check(list("x", Int32, true), list("x", Int32, false));
        assert_eq!(e, "column c.element: another schema: required, where it is optional");
        assert_eq!(
            check(list("x", Int32, true), Int32),
            "column c: another schema: a column of values, where it is a list"
        );
        let (a, b) = (Field::new("a", Int32, true), Field::new("b", Int32, true));
        let two = of_fields(vec![a.clone(), b.clone()]);
        assert_eq!(check(two.clone(), of_fields(vec![a.clone()])), "column c.b: another schema: it is missing");
        assert_eq!(check(of_fields(vec![a.clone()]), two), "column c.b: another schema: there is no such column");
        let e = check(of_fields(vec![a]), of_fields(vec![b]));
        assert_eq!(e, "column c.a: another schema: \"b\" stands in its place");
    }
}
