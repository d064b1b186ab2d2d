//! NDJSON, read: the lines of a file as ingest reads them, but that a bad record is an error. Without a schema, all records are
//! looked at first, so that whatever the file holds fits its columns.

use std::sync::Arc;

use arrow_array::RecordBatch;

use super::Batches;
use crate::error::{Error, Result};
use crate::ingest::RowSchema;
use crate::ingest::infer::Inference;
use crate::ingest::rows::{Columns, Row, RowDecoder};
use crate::log::{Log, NdjsonLog, NdjsonOptions, PartitionId, Poll, RecordBlock, Source};
use crate::storage::Local;

/// Opens a file; without a schema, reads it once to infer one.
pub(super) fn open(storage: Local, name: &str, schema: Option<RowSchema>) -> Result<Batches> {
    let lines = || Lines::open(&storage, name);
    let schema = match schema {
        Some(schema) => schema,
        None => {
            let mut inference = Inference::default();
            for block in lines()? {
                let block = block?;
                block.records.iter().for_each(|span| inference.add(block.record(span)));
            }
            inference.finish_without_event_time()?
        }
    };
    let arrow = schema.to_arrow();
    let rows = Rows {
        lines: lines()?,
        decoder: RowDecoder::new(&schema, false),
        columns: Columns::new(&schema, Arc::clone(&arrow))?,
        done: false,
    };
    Ok(Batches { schema: arrow, batches: Box::new(rows) })
}

/// Text that is read at a time.
const BLOCK_BYTES: usize = 1 << 20;

/// The blocks of records of one file, up to its end.
struct Lines {
    log: NdjsonLog,
    partition: PartitionId,
    done: bool,
}

impl Lines {
    fn open(storage: &Local, name: &str) -> Result<Lines> {
        let source = Source::file(Arc::new(storage.clone()), name)?;
        let mut log = NdjsonLog::new(vec![source], NdjsonOptions::default())?;
        let partition = log.partitions()?.into_iter().next().ok_or_else(|| Error::invalid("cannot be opened"))?.id;
        Ok(Lines { log, partition, done: false })
    }

    fn next_block(&mut self) -> Result<Option<RecordBlock>> {
        loop {
            match self.log.poll(&self.partition, BLOCK_BYTES)? {
                Poll::Idle => {}
                Poll::Records(block) => {
                    if let Some(span) = block.records.iter().find(|span| !span.whole) {
                        return Err(Error::limit("the line is too long for a record").at_byte(span.offset.0));
                    }
                    return Ok(Some(block));
                }
                Poll::End => {
                    return match self.log.incomplete_tails().first() {
                        Some((_, at)) => Err(Error::corrupt("the last line is no whole record").at_byte(at.0)),
                        None => Ok(None),
                    };
                }
            }
        }
    }
}

impl Iterator for Lines {
    type Item = Result<RecordBlock>;

    fn next(&mut self) -> Option<Result<RecordBlock>> {
        if self.done {
            return None;
        }
        let next = self.next_block().transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Blocks of records as batches, one each.
struct Rows {
    lines: Lines,
    decoder: RowDecoder,
    columns: Columns,
    done: bool,
}

impl Rows {
    fn decode(&mut self, block: &RecordBlock) -> Result<RecordBatch> {
        let mut row = Row::default();
        for span in &block.records {
            let bad = |why: String| Error::corrupt(format!("the record is bad: {why}")).at_byte(span.offset.0);
            let text = std::str::from_utf8(block.record(span)).map_err(|e| bad(e.to_string()))?;
            self.decoder.decode(text, &mut row).map_err(bad)?;
            self.columns.push(&row)?;
        }
        self.columns.take()
    }
}

impl Iterator for Rows {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        if self.done {
            return None;
        }
        let next = self.lines.next()?.and_then(|block| self.decode(&block));
        self.done = next.is_err();
        Some(next)
    }
}
