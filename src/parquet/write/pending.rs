//! Rows that are yet to be encoded, and which of them can wait.

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};

use crate::parquet::arrow::node::{Kind, Node};
use crate::parquet::arrow::{Leaf, ParquetSchema};
use crate::parquet::format::Type;

/// Rows that are yet to be encoded, in strips.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub strips: Vec<RecordBatch>,
    pub rows: usize,
    /// What their values take in PLAIN, about.
    pub bytes: usize,
}

impl Pending {
    pub fn push(&mut self, strip: RecordBatch, bytes: usize) {
        self.rows += strip.num_rows();
        self.bytes = self.bytes.saturating_add(bytes);
        self.strips.push(strip);
    }

    /// Whether several threads should have more rows before they begin.
    pub fn is_little_for_threads(&self, leaves: usize) -> bool {
        self.rows.saturating_mul(leaves) < VALUES_MAX && self.bytes < BYTES_MAX
    }

    /// Whether one thread should have more, where `dictionaries` take so many bytes.
    ///
    /// Each column finds its dictionary in slow memory after the other columns have had theirs. That is paid for by the rows that
    /// it then takes at once; they may wait in twice the memory that the dictionaries have.
    pub fn is_little_for_dictionaries(&self, dictionaries: usize) -> bool {
        dictionaries > CACHE_BYTES && self.bytes < dictionaries.saturating_mul(2).min(BYTES_MAX)
    }
}

/// So many values are enough for threads to begin; it takes them some ten milliseconds, at whose end one waits for the other.
const VALUES_MAX: usize = 1 << 22;
const BYTES_MAX: usize = 32 << 20;
/// What a processor has near by, about: dictionaries of no more stay there.
const CACHE_BYTES: usize = 1 << 20;

/// Whether these rows can be encoded whatever their values are: else the call that brought them must tell.
///
/// They have been found to be of the schema. What is asked here is asked of types, nulls and sizes alone, and may be denied wrongly.
pub(super) fn is_sure(strip: &RecordBatch, bytes: usize, schema: &ParquetSchema) -> bool {
    bytes < BYTES_MAX && schema.nodes.iter().zip(strip.columns()).all(|(node, array)| fits(node, array, &schema.leaves))
}

fn fits(node: &Node, array: &dyn Array, leaves: &[Leaf]) -> bool {
    if !node.field.is_nullable() && array.null_count() > 0 {
        return false;
    }
    match &node.kind {
        Kind::Leaf(leaf) => leaves.get(*leaf).is_some_and(|leaf| fits_leaf(array.data_type(), leaf)),
        Kind::Struct(children) => array
            .as_struct_opt()
            .is_some_and(|array| children.iter().zip(array.columns()).all(|(node, array)| fits(node, array, leaves))),
        Kind::List(element) => match array.data_type() {
            DataType::List(_) => fits(element, array.as_list::<i32>().values(), leaves),
            DataType::LargeList(_) => fits(element, array.as_list::<i64>().values(), leaves),
            DataType::Map(..) => fits(element, array.as_map().entries(), leaves),
            _ => false,
        },
    }
}

/// Whether the leaf takes each value of the type.
fn fits_leaf(of: &DataType, leaf: &Leaf) -> bool {
    use DataType::*;
    match of {
        Boolean | Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 | Float32 | Float64 => true,
        Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => true,
        Date32 | Time32(TimeUnit::Millisecond) | Time64(_) => true,
        Timestamp(unit, _) => *unit != TimeUnit::Second && leaf.physical == Type::Int64,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow_array::builder::{Int32Builder, ListBuilder};
    use arrow_array::{ArrayRef, Date64Array, Decimal128Array, Int32Array, NullArray, StringArray, StructArray};
    use arrow_array::{TimestampMillisecondArray, TimestampSecondArray};
    use arrow_schema::{Field, Schema};

    use crate::parquet::arrow::to_parquet;

    fn is_sure_of(array: ArrayRef, nullable: bool) -> bool {
        let field = Field::new("a", array.data_type().clone(), nullable);
        let schema = Schema::new(vec![field.clone()]);
        // A batch would not let the null through that the writer is to find.
        let lax = Arc::new(Schema::new(vec![field.with_nullable(true)]));
        let strip = RecordBatch::try_new(lax, vec![array]).expect("a batch");
        is_sure(&strip, 1000, &to_parquet(&Arc::new(schema)).expect("a schema"))
    }

    #[test]
    fn only_rows_that_cannot_fail_may_wait() {
        let nulls: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
        assert!(is_sure_of(Arc::clone(&nulls), true));
        assert!(!is_sure_of(Arc::clone(&nulls), false));
        assert!(is_sure_of(Arc::new(Int32Array::from(vec![1])), false));
        assert!(is_sure_of(Arc::new(StringArray::from(vec!["a"])), false));
        assert!(is_sure_of(Arc::new(TimestampMillisecondArray::from(vec![i64::MAX])), false));
        for array in [
            Arc::new(TimestampSecondArray::from(vec![i64::MAX])) as ArrayRef,
            Arc::new(Date64Array::from(vec![1])),
            Arc::new(Decimal128Array::from(vec![i128::MAX])),
            Arc::new(NullArray::new(1)),
        ] {
            assert!(!is_sure_of(Arc::clone(&array), true), "{}", array.data_type());
        }
    }

    #[test]
    fn what_is_below_lists_and_structs_is_looked_at() {
        for nullable in [true, false] {
            let item = Arc::new(Field::new("item", DataType::Int32, nullable));
            for value in [Some(1), None] {
                let array: ArrayRef = Arc::new(Int32Array::from(vec![value]));
                let sure = nullable || value.is_some();
                let mut lists = ListBuilder::new(Int32Builder::new()).with_field(Arc::new(Field::new(
                    "item",
                    DataType::Int32,
                    true,
                )));
                lists.append_value([value]);
                let (_, offsets, values, nulls) = lists.finish().into_parts();
                if sure {
                    let list = arrow_array::ListArray::new(Arc::clone(&item), offsets, values, nulls);
                    assert!(is_sure_of(Arc::new(list), true));
                    let of = StructArray::new(vec![Arc::clone(&item)].into(), vec![array], None);
                    assert!(is_sure_of(Arc::new(of), true));
                }
            }
        }
        let dates: ArrayRef = Arc::new(Date64Array::from(vec![1]));
        let of = StructArray::new(vec![Field::new("d", DataType::Date64, true)].into(), vec![dates], None);
        assert!(!is_sure_of(Arc::new(of), true));
    }

    #[test]
    fn one_thread_waits_only_for_large_dictionaries() {
        let of = |bytes| Pending { strips: Vec::new(), rows: 10, bytes };
        assert!(!of(0).is_little_for_dictionaries(CACHE_BYTES));
        assert!(of(0).is_little_for_dictionaries(CACHE_BYTES + 1));
        assert!(!of(4 << 20).is_little_for_dictionaries(2 << 20));
        assert!(of((4 << 20) - 1).is_little_for_dictionaries(2 << 20));
        assert!(!of(BYTES_MAX).is_little_for_dictionaries(usize::MAX));
    }
}
