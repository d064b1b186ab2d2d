//! Which columns go by an order of their own, or in INT96, as the options ask.
//!
//! Spec: parquet.thrift, `ColumnOrder`.

use arrow_schema::DataType;

use super::convert;
use super::options::{FloatOrder, WriterOptions};
use crate::parquet::arrow::{Leaf, ParquetSchema, ValueOrder};
use crate::parquet::format::{ColumnOrder, Empty, Type};

/// Changes the columns of which the options ask it.
pub(super) fn apply(schema: &mut ParquetSchema, options: &WriterOptions) {
    for leaf in &mut schema.leaves {
        let own = options.columns.get(&leaf.name());
        let is_timestamp = matches!(convert::value_type(&leaf.data_type), DataType::Timestamp(..));
        if is_timestamp && own.and_then(|c| c.int96).unwrap_or(options.int96) {
            leaf.physical = Type::Int96;
            leaf.logical = None;
            leaf.order = ValueOrder::Chronological;
            if let Some(element) = schema.elements.get_mut(leaf.element) {
                element.type_ = Some(Type::Int96);
                (element.logical_type, element.converted_type) = (None, None);
            }
        }
        let floats = own.and_then(|c| c.float_order).unwrap_or(options.float_order);
        if leaf.order == ValueOrder::Float && floats == FloatOrder::Total {
            leaf.order = ValueOrder::FloatTotal;
        }
    }
}

/// What the footer says of each column.
pub(super) fn column_orders(leaves: &[Leaf]) -> Vec<ColumnOrder> {
    let of = |leaf: &Leaf| match leaf.order {
        ValueOrder::FloatTotal => ColumnOrder::Ieee754TotalOrder(Empty {}),
        ValueOrder::Chronological => ColumnOrder::Int96TimestampOrder(Empty {}),
        _ => ColumnOrder::TypeOrder(Empty {}),
    };
    leaves.iter().map(of).collect()
}
