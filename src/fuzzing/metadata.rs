//! Thrift structs, Bloom filters, and levels that become nested values.

use std::sync::Arc;

use arrow_array::{Array, Int32Array};
use arrow_schema::{DataType, Field, Fields, Schema};
use bytes::Bytes;

use super::Input;
use crate::parquet::arrow::assemble::{LeafSlots, assemble};
use crate::parquet::arrow::{FileSchema, SchemaOptions, to_parquet};
use crate::parquet::format::bloom_filter::{self, BloomFilter};
use crate::parquet::format::thrift::{self, Value};
use crate::parquet::format::{ChunkPlace, ColumnIndex, Footer, FooterLimits, OffsetIndex, PageHead, PageHeader};

/// What is decoded, encodes to what decodes as the same.
fn round_trip<T: Value + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let Ok(value) = thrift::decode_within::<T>(bytes, 0, 16 << 20) else { return };
    let again = thrift::encode(&value);
    let back = thrift::decode::<T>(&again, 0);
    // Members of unions that are not known are not written.
    if let Ok((back, used)) = back {
        assert_eq!(used, again.len(), "all that was written is read");
        assert_eq!(thrift::encode(&back), again, "{value:?}");
    }
}

pub(super) fn footer(bytes: &[u8]) {
    let limits = FooterLimits { memory_bytes: 16 << 20, schema_elements: 1 << 16, places: false };
    let Ok((footer, elements)) = Footer::decode(Bytes::copy_from_slice(bytes), 4, limits) else { return };
    let key_values = footer.key_value_metadata.as_deref();
    if let Ok(schema) = FileSchema::new(elements, key_values, SchemaOptions::default()) {
        let (fields, leaves) = (schema.fields(), schema.leaves());
        let names: Vec<String> = schema.names().map(str::to_owned).collect();
        let whole = schema.whole(key_values);
        assert_eq!((whole.nodes.len(), whole.leaves.len()), (fields, leaves), "what is checked is converted");
        assert!(whole.arrow.fields().iter().map(|field| field.name()).eq(&names));
    }
    let whole = footer.whole().is_ok();
    for (group, lean) in footer.groups.iter().enumerate().take(8) {
        for column in 0..lean.columns.min(64) {
            let chunk = footer.chunk(group, column);
            assert!(chunk.is_ok() || !whole, "a chunk of a whole footer decodes by itself");
            let Ok(chunk) = chunk else { continue };
            let is_here = chunk.file_path.is_none() && chunk.crypto_metadata.is_none();
            let meta = chunk.meta_data.as_ref().filter(|_| is_here);
            let place = footer.place(group, column);
            assert!(place.is_ok_and(|place| place == meta.map(ChunkPlace::from)), "{meta:?}");
        }
    }
    round_trip::<crate::parquet::format::FileMetaData>(bytes);
}

pub(super) fn page_header(bytes: &[u8]) {
    round_trip::<PageHeader>(bytes);
    // Where the whole header decodes, what is read of it for decoding its page is the same.
    if let Ok((header, used)) = thrift::decode::<PageHeader>(bytes, 0) {
        let head = PageHead::decode(bytes, 0);
        assert!(head.is_ok_and(|head| head == (PageHead::from(&header), used)), "{header:?}");
    }
}

pub(super) fn page_index(bytes: &[u8]) {
    round_trip::<ColumnIndex>(bytes);
    round_trip::<OffsetIndex>(bytes);
}

pub(super) fn bloom_filter(bytes: &[u8]) {
    let _ = bloom_filter::decode_header(bytes, 0);
    for filter in [BloomFilter::decode(bytes, 0), BloomFilter::from_bits(bytes)].into_iter().flatten() {
        let again = BloomFilter::decode(&filter.encode(), 0);
        assert!(again.is_ok_and(|again| again.encode() == filter.encode()));
        let _ = filter.may_contain(BloomFilter::hash(bytes));
    }
    // What was put in is found.
    let mut filter = BloomFilter::with_bytes(64);
    bytes.chunks(3).for_each(|value| filter.insert(BloomFilter::hash(value)));
    assert!(bytes.chunks(3).all(|value| filter.may_contain(BloomFilter::hash(value))));
}

/// Any levels, over lists in structs in lists.
pub(super) fn nested(bytes: &[u8]) {
    let mut input = Input(bytes);
    let leaf = |name: &str| Field::new(name, DataType::Int32, true);
    let inner = DataType::List(Arc::new(leaf("element")));
    let parts = Fields::from(vec![Field::new("a", inner, true), leaf("b")]);
    let element = Field::new("element", DataType::Struct(parts), true);
    let list = match input.byte() % 3 {
        0 => DataType::List(Arc::new(element)),
        1 => DataType::LargeList(Arc::new(element)),
        _ => DataType::FixedSizeList(Arc::new(element), 2),
    };
    let schema = Schema::new(vec![Field::new("x", list, true)]);
    let Ok(schema) = to_parquet(&schema) else { return };
    let Some(node) = schema.nodes.first() else { return };
    let rows = usize::from(input.byte());
    let mut slots: Vec<Option<LeafSlots>> = Vec::new();
    for leaf in &schema.leaves {
        let entries = usize::from(input.byte());
        let (mut rep, mut def) = (Vec::new(), Vec::new());
        for _ in 0..entries {
            let both = input.byte();
            // Beyond the greatest by one, too: the reader refuses it before, here it must do no harm.
            rep.push(u16::from(both & 15) % (leaf.rep_max + 2));
            def.push(u16::from(both >> 4) % (leaf.def_max + 2));
        }
        let values: Int32Array =
            def.iter().filter(|&&d| d >= leaf.slot).map(|&d| (d == leaf.def_max).then_some(7)).collect();
        slots.push(Some(LeafSlots { rep, def, slots: Some(Arc::new(values)) }));
    }
    if let Ok(array) = assemble(node, rows, &mut |n| slots.get_mut(n).and_then(Option::take)) {
        assert_eq!(array.len(), rows);
        assert!(array.to_data().validate_full().is_ok(), "{array:?}");
    }
}
