//! Row groups added to a finished file, whoever wrote it.
//!
//! A Parquet file's footer is its end, so a file that is appended to in place cannot be read until its new footer is
//! complete, and never again if that does not come. So the new file is made beside the old one: the old bytes up to the
//! footer, the new row groups, a footer that covers both; then it takes the old one's name, at once. Each append copies the
//! file: to add often, [pause](FileWriter::pause).

use std::sync::Arc;

use arrow_schema::{DataType, SchemaRef};

use super::convert::value_type;
use super::file::FileWriter;
use super::options::WriterOptions;
use super::orders;
use super::pause::refuse_encryption;
use super::row_group::EncodedIndexes;
use crate::error::{Error, Result};
use crate::parquet::arrow::{Leaf, check_same, to_parquet};
use crate::parquet::format::Type;
use crate::parquet::splice::{Copy, Source, settle_bounds};
use crate::storage::Storage;

impl FileWriter {
    /// Goes on with the finished file at `path`, with batches of `schema`. Until [`finish`](Self::finish), and when this is
    /// dropped, the old file is there; from then on, the new one. Of two who append at the same time, one is lost.
    ///
    /// The old row groups, their indexes and Bloom filters stay as they are, byte for byte. So do the Parquet schema and
    /// the key-values, `ARROW:schema` among them (none is added where there is none); those of `options` are
    /// added, before an old one of the same key. Bounds in another order than this writer's are left out.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the column where the file does not hold what `schema` would be stored as: see
    /// [`check_same`]; [`Error::Unsupported`] and [`Error::Corrupt`] for files that cannot be gone on with, as those that are
    /// encrypted.
    pub fn append_to(
        storage: &dyn Storage,
        path: &str,
        schema: SchemaRef,
        options: WriterOptions,
    ) -> Result<FileWriter> {
        refuse_encryption(&options)?;
        let source = Source::open(storage.open(path)?)?;
        let mut schema = to_parquet(&schema)?;
        orders::apply(&mut schema, &options);
        for (leaf, there) in schema.leaves.iter_mut().zip(&source.schema.leaves) {
            adopt(leaf, there);
        }
        check_same(&source.schema, &schema).map_err(|e| e.in_file(source.input.name()))?;
        // The file's own names: those inside of lists and maps may be others.
        for (leaf, there) in schema.leaves.iter_mut().zip(&source.schema.leaves) {
            leaf.path.clone_from(&there.path);
            leaf.element = there.element;
        }
        schema.elements.clone_from(&source.schema.elements);
        options.check(&schema.leaves)?;
        let mut copy = Copy { out: storage.create(path)?, position: 0 };
        copy.copy(source.input.as_ref(), 0..source.footer_start)?;
        let Copy { out, position } = copy;
        let mut writer = FileWriter::over(out, schema, options)?;
        let metadata = source.metadata;
        writer.position = position;
        writer.rows = u64::try_from(metadata.num_rows).map_err(|_| Error::corrupt("a negative number of rows"))?;
        writer.row_groups = metadata.row_groups;
        let theirs = metadata.column_orders.unwrap_or_default();
        let leaves = Arc::new(writer.schema.leaves.clone());
        let mine = orders::column_orders(&leaves);
        for group in &mut writer.row_groups {
            for (number, (chunk, leaf)) in group.columns.iter_mut().zip(leaves.iter()).enumerate() {
                let keeps_bounds = theirs.get(number).is_some_and(|order| Some(order) == mine.get(number));
                if let Some(meta) = &mut chunk.meta_data {
                    settle_bounds(meta, leaf, keeps_bounds);
                    meta.path_in_schema.clone_from(&leaf.path);
                }
                if !keeps_bounds {
                    (chunk.column_index_offset, chunk.column_index_length) = (None, None);
                }
            }
            writer.indexes.push(vec![EncodedIndexes::default(); group.columns.len()]);
        }
        writer.carried = Some(metadata.key_value_metadata.unwrap_or_default());
        Ok(writer)
    }
}

/// Stores values of a column as the file does, where Arrow's type is the same and the file's choice can be written: other
/// writers keep decimals in byte arrays, and call texts enums.
fn adopt(leaf: &mut Leaf, there: &Leaf) {
    use DataType as D;
    let (mine, theirs) = (value_type(&leaf.data_type), value_type(&there.data_type));
    let digits = |t: &D| match t {
        D::Decimal32(p, s) | D::Decimal64(p, s) | D::Decimal128(p, s) | D::Decimal256(p, s) => Some((*p, *s)),
        _ => None,
    };
    let is_text = |t: &D| matches!(t, D::Utf8 | D::LargeUtf8 | D::Utf8View);
    let is_stored_so = match digits(mine) {
        Some(_) if digits(mine) == digits(theirs) => {
            there.physical == Type::FixedLenByteArray && (1..=32).contains(&there.type_length)
        }
        _ => leaf.physical == there.physical && (mine == theirs || (is_text(mine) && is_text(theirs))),
    };
    if is_stored_so && there.refusal.is_none() {
        (leaf.physical, leaf.type_length, leaf.order) = (there.physical, there.type_length, there.order);
        leaf.logical.clone_from(&there.logical);
    }
}
