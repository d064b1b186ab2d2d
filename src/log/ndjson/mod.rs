//! NDJSON files, folders of them and streams as a [`Log`]: each file is a partition, each line a record, and its
//! offset the position of the line's first byte in the uncompressed text.
//!
//! - A partition's id is the file's path in its folder without `.gz` or `.zst`, so a file that was compressed after it was
//!   rotated goes on where it was. A stream's is the name that it was given.
//! - Blank lines are no records; `\r\n` ends a line as well; a byte order mark at the start is passed over.
//! - A last line without its newline is a record iff it is one whole JSON object; otherwise it is left for the next run.
//! - A line longer than [`NdjsonOptions::line_bytes_max`] is a record that is not whole, with its first bytes only.
//! - Plain files are entered where reading goes on; compressed ones and streams are read over up to there.

mod identity;
mod lines;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use self::lines::LineReader;
use self::text::{Packing, Text};
use super::{Identity, Log, Offset, Partition, PartitionId, Poll};
use crate::error::{Error, Result};
use crate::storage::{Local, Storage};

/// How [`NdjsonLog`] reads.
#[derive(Debug, Clone)]
pub struct NdjsonOptions {
    /// A line with more bytes than this is a record that is not whole. 16 MiB unless said otherwise, 1 GiB at most.
    pub line_bytes_max: usize,
}

impl Default for NdjsonOptions {
    fn default() -> NdjsonOptions {
        NdjsonOptions { line_bytes_max: 16 << 20 }
    }
}

/// One file or stream of an [`NdjsonLog`].
pub struct Source {
    id: PartitionId,
    name: String,
    stored_bytes: Option<u64>,
    from: From,
}

enum From {
    File {
        storage: Arc<dyn Storage>,
        path: String,
        packing: Packing,
    },
    /// Taken when it is opened.
    Stream(Option<Box<dyn Read + Send>>),
}

impl Source {
    /// A file of a folder. Its name's ending says how it is compressed: `.gz`, `.zst`, or not.
    pub fn file(storage: Arc<dyn Storage>, path: &str) -> Result<Source> {
        let bytes = storage.open(path)?.bytes();
        Ok(Source::listed(storage, path, bytes))
    }

    /// Every NDJSON file of a folder and of the folders in it (`.ndjson` or `.jsonl`, with `.gz` or `.zst` behind or not),
    /// but those that are hidden (`.` at the start of a name).
    pub fn folder(storage: &Arc<dyn Storage>) -> Result<Vec<Source>> {
        let entries = storage.list("")?;
        let sources = entries.into_iter().filter(|entry| is_ndjson(&entry.path));
        Ok(sources.map(|entry| Source::listed(Arc::clone(storage), &entry.path, entry.bytes)).collect())
    }

    /// A stream; `id` names it in the state, so the same one again must have the same name.
    pub fn stream(id: &str, reader: impl Read + Send + 'static) -> Source {
        let from = From::Stream(Some(Box::new(reader)));
        Source { id: PartitionId(id.to_owned()), name: id.to_owned(), stored_bytes: None, from }
    }

    fn listed(storage: Arc<dyn Storage>, path: &str, bytes: u64) -> Source {
        let (id, packing) = match path.rsplit_once('.') {
            Some((id, "gz")) => (id, Packing::Gzip),
            Some((id, "zst")) => (id, Packing::Zstd),
            _ => (path, Packing::Plain),
        };
        let name = format!("{}/{path}", storage.name().trim_end_matches('/'));
        let from = From::File { packing, storage, path: path.to_owned() };
        Source { id: PartitionId(id.to_owned()), name, stored_bytes: Some(bytes), from }
    }

    fn open(&mut self) -> Result<Text> {
        match &mut self.from {
            From::File { storage, path, packing } => Text::file(storage.open(path)?, *packing),
            From::Stream(reader) => match reader.take() {
                Some(reader) => Text::stream(reader),
                None => Err(Error::invalid("a stream cannot go back to what was read").in_file(&self.name)),
            },
        }
    }
}

fn is_ndjson(path: &str) -> bool {
    let plain = path.strip_suffix(".gz").or_else(|| path.strip_suffix(".zst")).unwrap_or(path);
    let hidden = path.split('/').any(|part| part.starts_with('.'));
    !hidden && (plain.ends_with(".ndjson") || plain.ends_with(".jsonl"))
}

/// NDJSON files and streams as a log.
pub struct NdjsonLog {
    options: NdjsonOptions,
    partitions: BTreeMap<PartitionId, State>,
}

struct State {
    source: Source,
    start: Start,
    reader: Option<LineReader>,
    /// Kept when the reader has been let go at the end.
    tail: Option<Offset>,
    ended: bool,
}

#[derive(Default)]
struct Start {
    position: Offset,
    known: Option<Identity>,
}

impl NdjsonLog {
    /// A log of these sources; [`Error::Invalid`] when two have the same id.
    pub fn new(sources: Vec<Source>, options: NdjsonOptions) -> Result<NdjsonLog> {
        if options.line_bytes_max == 0 || options.line_bytes_max > LINE_BYTES_LIMIT {
            return Err(Error::invalid(format!(
                "lines of 1 to {LINE_BYTES_LIMIT} bytes, not {}",
                options.line_bytes_max
            )));
        }
        let mut partitions = BTreeMap::new();
        for source in sources {
            let id = source.id.clone();
            let name = source.name.clone();
            let state = State { source, start: Start::default(), reader: None, tail: None, ended: false };
            if let Some(other) = partitions.insert(id.clone(), state) {
                return Err(Error::invalid(format!(
                    "{name} and {} would both be the partition {id}; name one of them otherwise, or read them into sinks \
                     of their own",
                    other.source.name
                )));
            }
        }
        Ok(NdjsonLog { options, partitions })
    }

    /// A log of what a user names: files, folders, and `-` for standard input.
    pub fn open(paths: &[impl AsRef<str>], options: NdjsonOptions) -> Result<NdjsonLog> {
        let mut sources = Vec::new();
        for path in paths.iter().map(AsRef::as_ref) {
            if path == "-" {
                sources.push(Source::stream("stdin", std::io::stdin()));
                continue;
            }
            // Not mapped into memory: somebody else may cut a log's file, and reading a map past its end kills the process.
            if let Ok(folder) = Local::new(path) {
                let folder: Arc<dyn Storage> = Arc::new(folder.without_map());
                let found = Source::folder(&folder)?;
                if found.is_empty() && !folder.list("")?.is_empty() {
                    return Err(Error::invalid(
                        "no NDJSON in this folder: its files must end in .ndjson or .jsonl (or those and .gz or .zst)",
                    )
                    .in_file(path));
                }
                if !found.is_empty() {
                    sources.extend(found);
                    continue;
                }
            }
            // A file, or what is not there, or an empty folder: opening it says so.
            let (storage, name) = Local::file(path)?;
            sources.push(Source::file(Arc::new(storage.without_map()), &name)?);
        }
        NdjsonLog::new(sources, options)
    }

    fn partition(&mut self, id: &PartitionId) -> Result<&mut State> {
        self.partitions.get_mut(id).ok_or_else(|| Error::invalid(format!("no partition {id} in this log")))
    }
}

impl State {
    fn reader(&mut self, options: &NdjsonOptions) -> Result<&mut LineReader> {
        if self.reader.is_none() {
            let text = self.source.open()?;
            let Start { position, known } = &self.start;
            let reader = LineReader::new(text, &self.source.name, *position, known.as_ref(), options.line_bytes_max)?;
            self.reader = Some(reader);
        }
        self.reader.as_mut().ok_or_else(|| Error::invalid("no reader"))
    }
}

impl Log for NdjsonLog {
    fn partitions(&mut self) -> Result<Vec<Partition>> {
        let of = |(id, state): (&PartitionId, &State)| Partition {
            id: id.clone(),
            name: state.source.name.clone(),
            stored_bytes: state.source.stored_bytes,
            unbounded: matches!(state.source.from, From::Stream(_)),
        };
        Ok(self.partitions.iter().map(of).collect())
    }

    fn seek(&mut self, partition: &PartitionId, position: Offset, known: Option<&Identity>) -> Result<()> {
        let state = self.partition(partition)?;
        state.start = Start { position, known: known.cloned() };
        state.reader = None;
        state.tail = None;
        state.ended = false;
        Ok(())
    }

    fn poll(&mut self, partition: &PartitionId, bytes_max: usize) -> Result<Poll> {
        let options = self.options.clone();
        let state = self.partition(partition)?;
        if state.ended {
            return Ok(Poll::End);
        }
        let reader = state.reader(&options)?;
        let poll = reader.poll(bytes_max)?;
        if matches!(poll, Poll::End) {
            // With its file and its decompressor: there may be thousands of them.
            reader.release();
            state.tail = reader.incomplete_tail();
            state.ended = true;
        }
        Ok(poll)
    }

    fn identity(&mut self, partition: &PartitionId, position: Offset) -> Result<Identity> {
        let options = self.options.clone();
        Ok(self.partition(partition)?.reader(&options)?.identity(position))
    }

    fn rules(&self) -> String {
        format!("ndjson, lines of up to {} bytes", self.options.line_bytes_max)
    }

    fn incomplete_tails(&self) -> Vec<(PartitionId, Offset)> {
        self.partitions.iter().filter_map(|(id, state)| Some((id.clone(), state.tail?))).collect()
    }
}

const LINE_BYTES_LIMIT: usize = 1 << 30;
