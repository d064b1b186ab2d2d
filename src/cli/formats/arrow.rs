//! Arrow IPC: files are written and read, streams read.
//!
//! Spec: Arrow columnar format, "IPC File Format" and "IPC Streaming Format".
//!
//! arrow-ipc has been written for files of friends: values that it does not know make it panic. So it is called under
//! [`guarded`], over slices whose bounds are checked here, and what it cannot take is [`Error::Corrupt`].

use std::collections::HashMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, make_array};
use arrow_buffer::Buffer;
use arrow_cast::{CastOptions, cast, cast_with_options};
use arrow_ipc::convert::fb_to_schema;
use arrow_ipc::reader::{FileDecoder, StreamDecoder, read_footer_length};
use arrow_ipc::writer::{DictionaryHandling, FileWriter, IpcWriteOptions};
use arrow_ipc::{Block, root_as_footer};
use arrow_schema::{ArrowError, DataType, SchemaRef};
use arrow_select::concat::concat;
use arrow_select::take::take;

use super::{Batches, OutputFile};
use crate::cli::panics;
use crate::error::{Error, Result};
use crate::storage::Input;

const MAGIC: &[u8] = b"ARROW1";

/// Whether bytes at the start of a file are those of an IPC file.
pub(super) fn is_file(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// Reads an IPC file, or a stream in a file.
pub(super) fn open(input: &Arc<dyn Input>) -> Result<Batches> {
    let bytes = input.read(0..input.bytes())?;
    let is_file = is_file(&bytes);
    let buffer = Buffer::from(bytes);
    if is_file { open_file(buffer) } else { open_stream(buffer) }.map_err(|e| e.in_file(input.name()))
}

fn open_file(buffer: Buffer) -> Result<Batches> {
    let corrupt = || Error::corrupt("the Arrow file ends early, or its footer is damaged");
    let footer_end = buffer.len().checked_sub(TRAILER_BYTES).ok_or_else(corrupt)?;
    let trailer = buffer.get(footer_end..).and_then(|t| t.first_chunk::<TRAILER_BYTES>()).ok_or_else(corrupt)?;
    let footer_bytes = guarded(|| read_footer_length(*trailer))?;
    let footer =
        footer_end.checked_sub(footer_bytes).and_then(|start| buffer.get(start..footer_end)).ok_or_else(corrupt)?;
    let footer = root_as_footer(footer).map_err(|_| corrupt())?;
    let ipc_schema = footer.schema().ok_or_else(corrupt)?;
    if !ipc_schema.endianness().equals_to_target_endianness() {
        return Err(Error::unsupported("the Arrow file was written with the other byte order"));
    }
    let schema = Arc::new(guarded(|| Ok(fb_to_schema(ipc_schema)))?);
    let mut decoder = FileDecoder::new(Arc::clone(&schema), footer.version());
    for block in footer.dictionaries().iter().flatten() {
        let data = slice(&buffer, block)?;
        guarded(|| decoder.read_dictionary(block, &data))?;
    }
    let blocks: Vec<Block> = footer.recordBatches().iter().flatten().copied().collect();
    let batches = blocks.into_iter().filter_map(move |block| {
        let batch = slice(&buffer, &block).and_then(|data| guarded(|| decoder.read_record_batch(&block, &data)));
        batch.transpose()
    });
    Ok(Batches { schema, batches: Box::new(batches) })
}

/// The footer's length and the magic.
const TRAILER_BYTES: usize = 10;

fn slice(buffer: &Buffer, block: &Block) -> Result<Buffer> {
    let metadata = usize::try_from(block.metaDataLength()).ok();
    let body = usize::try_from(block.bodyLength()).ok();
    let start = usize::try_from(block.offset()).ok();
    let length = metadata.zip(body).and_then(|(metadata, body)| metadata.checked_add(body));
    let end = start.zip(length).and_then(|(start, length)| start.checked_add(length));
    match (start, length, end) {
        (Some(start), Some(length), Some(end)) if end <= buffer.len() => Ok(buffer.slice_with_length(start, length)),
        _ => Err(Error::corrupt("the Arrow file's footer names bytes that are not there")),
    }
}

fn open_stream(mut buffer: Buffer) -> Result<Batches> {
    if buffer.is_empty() {
        return Err(Error::corrupt("the Arrow stream is empty, without a schema even"));
    }
    let mut decoder = StreamDecoder::new();
    // The schema comes with the first message, so the first batch, if there is one, is decoded here.
    let first = guarded(|| decoder.decode(&mut buffer))?;
    let schema =
        decoder.schema().ok_or_else(|| Error::corrupt("is neither an Arrow file nor a stream of Arrow batches"))?;
    let mut done = false;
    let rest = std::iter::from_fn(move || {
        if done {
            return None;
        }
        let next = guarded(|| decoder.decode(&mut buffer)).transpose();
        done = !matches!(next, Some(Ok(_)));
        if next.is_none()
            && let Err(e) = guarded(|| decoder.finish())
        {
            return Some(Err(e));
        }
        next
    });
    Ok(Batches { schema, batches: Box::new(first.map(Ok).into_iter().chain(rest)) })
}

/// What arrow-ipc finds wrong is the file's fault, also where it panics over it.
fn guarded<T>(work: impl FnOnce() -> Result<T, ArrowError>) -> Result<T> {
    match panics::quietly(|| catch_unwind(AssertUnwindSafe(work))) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) if e.to_string().contains("feature") => {
            Err(Error::unsupported("the Arrow file is compressed; write it without compression").with_source(e))
        }
        Ok(Err(e)) => Err(Error::corrupt(format!("not valid as Arrow IPC: {e}")).with_source(e)),
        Err(_) => Err(Error::corrupt("not valid as Arrow IPC")),
    }
}

/// Writes an IPC file.
pub(super) struct ArrowWriter {
    writer: FileWriter<OutputFile>,
    schema: SchemaRef,
    dictionaries: HashMap<Vec<usize>, Dictionary>,
}

impl ArrowWriter {
    pub(super) fn new(out: OutputFile, schema: SchemaRef) -> Result<ArrowWriter> {
        let options = IpcWriteOptions::default().with_dictionary_handling(DictionaryHandling::Delta);
        let writer = FileWriter::try_new_with_options(out, &schema, options)?;
        Ok(ArrowWriter { writer, schema, dictionaries: HashMap::new() })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if !self.schema.fields().iter().any(|f| has_dictionary(f.data_type())) {
            return self.send(batch);
        }
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (at, (array, field)) in batch.columns().iter().zip(self.schema.fields()).enumerate() {
            let gathered = gather(array, &mut vec![at], &mut self.dictionaries);
            columns.push(gathered.map_err(|e| e.in_column(field.name()))?);
        }
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        self.send(&RecordBatch::try_new_with_options(self.schema.clone(), columns, &rows)?)
    }

    fn send(&mut self, batch: &RecordBatch) -> Result<()> {
        let sent = self.writer.write(batch);
        sent.map_err(|e| self.writer.get_mut().take_error().unwrap_or_else(|| e.into()))
    }

    pub(super) fn finish(mut self) -> Result<u64> {
        let finished = self.writer.finish().and_then(|()| self.writer.flush());
        finished.map_err(|e| self.writer.get_mut().take_error().unwrap_or_else(|| e.into()))?;
        let mut out = self.writer.into_inner()?;
        out.flush()?;
        out.finish()
    }
}

fn has_dictionary(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(..) => true,
        DataType::List(f) | DataType::LargeList(f) | DataType::FixedSizeList(f, _) | DataType::Map(f, _) => {
            has_dictionary(f.data_type())
        }
        DataType::Struct(fields) => fields.iter().any(|f| has_dictionary(f.data_type())),
        _ => false,
    }
}

/// The array with its dictionaries, at any depth, replaced by those gathered so far. `path` leads to the array: its place
/// in its parent, the parent's in its own.
fn gather(array: &ArrayRef, path: &mut Vec<usize>, all: &mut HashMap<Vec<usize>, Dictionary>) -> Result<ArrayRef> {
    if array.as_any_dictionary_opt().is_some() {
        return all.entry(path.clone()).or_default().take_in(array);
    }
    if !has_dictionary(array.data_type()) {
        return Ok(Arc::clone(array));
    }
    let data = array.to_data();
    let mut children = Vec::with_capacity(data.child_data().len());
    for (at, child) in data.child_data().iter().enumerate() {
        path.push(at);
        children.push(gather(&make_array(child.clone()), path, all)?.to_data());
        path.pop();
    }
    Ok(make_array(data.into_builder().child_data(children).build()?))
}

/// A file has one dictionary a column, which may only grow; batches come with one each. So their values are gathered
/// in one, and their keys point into it.
#[derive(Default)]
struct Dictionary {
    values: Option<ArrayRef>,
    places: HashMap<Option<Vec<u8>>, i64>,
}

impl Dictionary {
    fn take_in(&mut self, array: &ArrayRef) -> Result<ArrayRef> {
        let Some(dictionary) = array.as_any_dictionary_opt() else { return Ok(Arc::clone(array)) };
        let values = dictionary.values();
        let mut fresh = Vec::new();
        let mut moved = Vec::with_capacity(values.len());
        let known = self.places.len() as i64;
        for (at, bytes) in value_bytes(values)?.into_iter().enumerate() {
            let next = known + fresh.len() as i64;
            let place = *self.places.entry(bytes).or_insert(next);
            if place == next {
                fresh.push(at as i64);
            }
            moved.push(place);
        }
        let gathered = match self.values.take() {
            Some(old) if fresh.is_empty() => old,
            Some(old) => concat(&[&old, &take(values, &Int64Array::from(fresh), None)?])?,
            None => take(values, &Int64Array::from(fresh), None)?,
        };
        self.values = Some(Arc::clone(&gathered));
        let DataType::Dictionary(key_type, _) = array.data_type() else { return Ok(Arc::clone(array)) };
        // NULL keys stay NULL: taking by them gives that.
        let keys = take(&Int64Array::from(moved), dictionary.keys(), None)?;
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let keys = cast_with_options(&keys, key_type, &strict).map_err(|_| {
            Error::unsupported(format!("the column has more distinct values than keys of type {key_type} can count"))
        })?;
        let data = array.to_data().into_builder();
        let key_data = keys.to_data();
        let data = data
            .len(keys.len())
            .offset(key_data.offset())
            .buffers(key_data.buffers().to_vec())
            .nulls(key_data.nulls().cloned())
            .child_data(vec![gathered.to_data()]);
        Ok(make_array(data.build()?))
    }
}

/// Each value as bytes that are equal iff the values are.
fn value_bytes(values: &ArrayRef) -> Result<Vec<Option<Vec<u8>>>> {
    let as_bytes = match values.data_type() {
        t if t.primitive_width().is_some() => {
            let width = t.primitive_width().unwrap_or(1);
            let data = values.to_data();
            let buffer = data.buffers().first().map(Buffer::as_slice).unwrap_or_default();
            let chunks = buffer.chunks_exact(width).skip(data.offset()).take(values.len());
            let all = chunks.enumerate().map(|(i, chunk)| values.is_valid(i).then(|| chunk.to_vec()));
            return Ok(all.collect());
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            cast(&cast(values, &DataType::LargeUtf8)?, &DataType::LargeBinary)?
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            cast(values, &DataType::LargeBinary)?
        }
        other => return Err(Error::unsupported(format!("dictionaries of {other} cannot be written yet"))),
    };
    Ok(as_bytes.as_binary::<i64>().iter().map(|v| v.map(<[u8]>::to_vec)).collect())
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int8Type;
    use arrow_array::{DictionaryArray, StringArray};

    use super::*;

    #[test]
    fn dictionaries_are_gathered_into_one() {
        let mut dictionary = Dictionary::default();
        let mut take_in = |values: Vec<Option<&str>>| {
            let array: DictionaryArray<Int8Type> = values.clone().into_iter().collect();
            let array: ArrayRef = Arc::new(array);
            let moved = dictionary.take_in(&array).unwrap();
            assert_eq!(moved.data_type(), array.data_type());
            let back = cast(&moved, &DataType::Utf8).unwrap();
            assert_eq!(back.as_string::<i32>(), &StringArray::from(values));
            moved
                .as_any_dictionary()
                .values()
                .as_string::<i32>()
                .iter()
                .flatten()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(take_in(vec![Some("b"), None, Some("a"), Some("b")]), ["b", "a"]);
        assert_eq!(take_in(vec![Some("a"), Some("c"), Some("b")]), ["b", "a", "c"]);
        assert_eq!(take_in(vec![None]), ["b", "a", "c"]);
    }

    #[test]
    fn dictionaries_inside_of_other_values_are_gathered_too() {
        use arrow_array::ListArray;
        use arrow_buffer::OffsetBuffer;
        use arrow_schema::Field;
        let mut all = HashMap::new();
        let mut list = |values: Vec<&str>| {
            let items: ArrayRef = Arc::new(values.iter().copied().collect::<DictionaryArray<Int8Type>>());
            let item = Arc::new(Field::new("item", items.data_type().clone(), true));
            let offsets = OffsetBuffer::from_lengths([1, values.len() - 1]);
            let list: ArrayRef = Arc::new(ListArray::new(item, offsets, items, None));
            let moved = gather(&list.slice(1, 1), &mut vec![0], &mut all).unwrap();
            let items = moved.as_list::<i32>().value(0);
            let texts = cast(&items, &DataType::Utf8).unwrap();
            let texts: Vec<String> = texts.as_string::<i32>().iter().flatten().map(str::to_owned).collect();
            (texts, items.as_any_dictionary().values().len())
        };
        assert_eq!(list(vec!["x", "a", "b"]), (vec!["a".to_owned(), "b".to_owned()], 3));
        assert_eq!(list(vec!["x", "c"]), (vec!["c".to_owned()], 4));
    }

    #[test]
    fn too_many_values_are_refused() {
        let mut dictionary = Dictionary::default();
        let texts: Vec<String> = (0..200).map(|i| i.to_string()).collect();
        let array = |range: std::ops::Range<usize>| -> ArrayRef {
            Arc::new(texts[range].iter().map(String::as_str).collect::<DictionaryArray<Int8Type>>())
        };
        dictionary.take_in(&array(0..100)).unwrap();
        let e = dictionary.take_in(&array(100..200)).unwrap_err();
        assert_eq!(e.to_string(), "the column has more distinct values than keys of type Int8 can count");
    }
}
