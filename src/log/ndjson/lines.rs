//! Text → lines → record blocks, with offsets, each line's length bounded.

use bytes::Bytes;
use serde::de::IgnoredAny;

use super::identity::Tracker;
use super::text::{Chunk, Text};
use crate::error::{Error, Result};
use crate::log::{Identity, Offset, Poll, RecordBlock, RecordSpan};
use crate::storage::Input;

/// Reads one partition.
pub(super) struct LineReader {
    name: String,
    text: Text,
    tracker: Tracker,
    /// What is to be read over first, where the text cannot be entered in the middle.
    skip: Option<Skip>,
    line_bytes_max: usize,
    /// Text that was read and not delivered; it starts at `position`.
    buffer: Vec<u8>,
    position: u64,
    /// Up to here the buffer is known to have no newline, or ends in one (`lines_end`).
    searched: usize,
    /// End of the last whole line in the buffer.
    lines_end: usize,
    /// A line that is too long, whose end is being looked for.
    long: Option<LongLine>,
    ended: bool,
    incomplete_tail: Option<u64>,
    /// Reported once, after what came before it was delivered.
    fault: Option<Error>,
}

struct LongLine {
    first_bytes: Vec<u8>,
    /// Bytes of it that have been let go.
    passed: u64,
}

impl LineReader {
    /// At `position`. That the text before it is what `known` says is checked before the first record is delivered;
    /// `name` is for the error when it is not.
    pub(super) fn new(
        mut text: Text,
        name: &str,
        position: Offset,
        known: Option<&Identity>,
        line_bytes_max: usize,
    ) -> Result<LineReader> {
        let known = known.filter(|k| k.position <= position);
        let (tracker, skip) = match text.plain() {
            Some(input) => (jump_over(input.as_ref(), name, position, known)?, None),
            None => (Tracker::new(), Some(Skip { to: position, unchecked: known.cloned() })),
        };
        if skip.is_none() {
            text.jump(position.0);
        }
        Ok(LineReader {
            name: name.to_owned(),
            text,
            tracker,
            skip,
            line_bytes_max,
            buffer: Vec::new(),
            position: position.0,
            searched: 0,
            lines_end: 0,
            long: None,
            ended: false,
            incomplete_tail: None,
            fault: None,
        })
    }

    pub(super) fn identity(&mut self, position: Offset) -> Identity {
        self.tracker.identity(position)
    }

    pub(super) fn incomplete_tail(&self) -> Option<Offset> {
        self.incomplete_tail.map(Offset)
    }

    /// Lets go of all that reading needs; what is known stays.
    pub(super) fn release(&mut self) {
        self.text.release();
        self.buffer = Vec::new();
        self.ended = true;
    }

    pub(super) fn poll(&mut self, bytes_max: usize) -> Result<Poll> {
        let bytes_max = bytes_max.clamp(1, BLOCK_BYTES_MAX);
        if !self.skip_on()? {
            return Ok(Poll::Idle);
        }
        loop {
            if let Some(block) = self.end_of_long_line() {
                return Ok(Poll::Records(block));
            }
            if self.lines_end > 0 && self.buffer.len() >= bytes_max {
                return Ok(Poll::Records(self.take_lines(bytes_max)));
            }
            if self.long.is_none() && self.lines_end == 0 && self.buffer.len() > self.line_bytes_max {
                self.start_long_line();
                continue;
            }
            if self.ended {
                return self.at_end(bytes_max);
            }
            let want = bytes_max.saturating_sub(self.buffer.len()).clamp(READ_BYTES_MIN, READ_BYTES_MAX);
            self.buffer.reserve(want);
            match self.text.read(&mut self.buffer, want) {
                Ok(Chunk::Bytes(_)) => self.search(),
                Ok(Chunk::Idle) if self.lines_end > 0 => return Ok(Poll::Records(self.take_lines(bytes_max))),
                Ok(Chunk::Idle) => return Ok(Poll::Idle),
                Ok(Chunk::End) => self.ended = true,
                Err(fault) => {
                    self.fault = Some(fault);
                    self.ended = true;
                }
            }
        }
    }

    /// Reads over what is before the position, and checks it on the way. False when there is nothing to read now.
    fn skip_on(&mut self) -> Result<bool> {
        let mut chunk = Vec::new();
        while let Some(skip) = &mut self.skip {
            let here = self.tracker.position();
            if let Some(known) = skip.unchecked.take_if(|k| k.position.0 == here)
                && self.tracker.here() != known
            {
                return Err(replaced(&self.name));
            }
            let stop = skip.unchecked.as_ref().map_or(skip.to, |k| k.position);
            let left = stop.0.saturating_sub(here);
            if left == 0 {
                self.tracker.checkpoint();
                self.skip = None;
                break;
            }
            chunk.clear();
            match self.text.read(&mut chunk, usize::try_from(left).unwrap_or(usize::MAX).min(READ_BYTES_MAX))? {
                Chunk::Bytes(_) => self.tracker.pass(&chunk),
                Chunk::Idle => return Ok(false),
                Chunk::End => return Err(truncated(&self.name, skip.to, here)),
            }
        }
        Ok(true)
    }

    /// Looks for line ends in what was read since the last time.
    fn search(&mut self) {
        let new = self.buffer.get(self.searched..).unwrap_or_default();
        if let Some(last) = memchr::memrchr(b'\n', new) {
            self.lines_end = self.searched + last + 1;
        }
        self.searched = self.buffer.len();
    }

    /// Delivers whole lines, up to about `bytes_max`.
    fn take_lines(&mut self, bytes_max: usize) -> RecordBlock {
        let mut end = self.lines_end;
        if end > bytes_max {
            // A long line was read in whole; do not hand over more than was asked for with it.
            let lines = self.buffer.get(..end).unwrap_or_default();
            let first = lines.get(..bytes_max).and_then(|l| memchr::memrchr(b'\n', l));
            let first = first.or_else(|| memchr::memchr(b'\n', lines));
            end = first.map_or(end, |i| i + 1);
        }
        let mut lines = self.buffer.split_off(end);
        std::mem::swap(&mut lines, &mut self.buffer);
        self.searched = self.buffer.len();
        self.lines_end -= end;
        self.deliver(lines)
    }

    fn deliver(&mut self, lines: Vec<u8>) -> RecordBlock {
        let mut records = Vec::with_capacity(lines.len() / 128);
        let mut start = 0;
        for newline in memchr::memchr_iter(b'\n', &lines) {
            records.extend(self.span(&lines, start, newline, newline + 1));
            start = newline + 1;
        }
        if start < lines.len() {
            records.extend(self.span(&lines, start, lines.len(), lines.len()));
        }
        self.tracker.pass(&lines);
        self.tracker.checkpoint();
        self.position += lines.len() as u64;
        RecordBlock {
            bytes: Bytes::from(lines),
            records,
            next: Offset(self.position),
            stored_bytes: self.text.stored_bytes(),
        }
    }

    /// The record on a line, unless it is blank.
    fn span(&self, block: &[u8], start: usize, end: usize, next: usize) -> Option<RecordSpan> {
        let mut line = block.get(start..end)?;
        let mut at = start;
        if self.position + start as u64 == 0
            && let Some(rest) = line.strip_prefix(BYTE_ORDER_MARK)
        {
            line = rest;
            at += BYTE_ORDER_MARK.len();
        }
        let whole = end - start <= self.line_bytes_max;
        let line = if whole {
            line.strip_suffix(b"\r").unwrap_or(line)
        } else {
            line.get(..LONG_LINE_KEPT_BYTES).unwrap_or(line)
        };
        if whole && line.iter().all(|b| matches!(b, b' ' | b'\t' | b'\r')) {
            return None;
        }
        Some(RecordSpan {
            offset: Offset(self.position + start as u64),
            next: Offset(self.position + next as u64),
            start: u32::try_from(at).ok()?,
            end: u32::try_from(at + line.len()).ok()?,
            whole,
        })
    }

    fn start_long_line(&mut self) {
        let skip =
            if self.position == 0 && self.buffer.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let first = self.buffer.iter().skip(skip).take(LONG_LINE_KEPT_BYTES).copied().collect();
        self.long = Some(LongLine { first_bytes: first, passed: 0 });
    }

    /// The record of a line that is too long, once its end is there; until then its text is let go.
    fn end_of_long_line(&mut self) -> Option<RecordBlock> {
        let long = self.long.as_mut()?;
        let newline = memchr::memchr(b'\n', &self.buffer);
        let pass = newline.map_or(self.buffer.len(), |i| i + 1);
        self.tracker.pass(self.buffer.get(..pass).unwrap_or_default());
        long.passed += pass as u64;
        self.buffer.drain(..pass);
        self.searched = 0;
        self.lines_end = 0;
        self.search();
        newline?;
        let long = self.long.take()?;
        let offset = Offset(self.position);
        self.position += long.passed;
        self.tracker.checkpoint();
        let end = u32::try_from(long.first_bytes.len()).ok()?;
        Some(RecordBlock {
            bytes: Bytes::from(long.first_bytes),
            records: vec![RecordSpan { offset, next: Offset(self.position), start: 0, end, whole: false }],
            next: Offset(self.position),
            stored_bytes: self.text.stored_bytes(),
        })
    }

    /// No more text: whole lines, then a last line that is a whole object, then the fault or the end.
    fn at_end(&mut self, bytes_max: usize) -> Result<Poll> {
        if self.lines_end > 0 {
            return Ok(Poll::Records(self.take_lines(bytes_max)));
        }
        if let Some(fault) = self.fault.take() {
            self.buffer = Vec::new();
            return Err(fault);
        }
        if self.long.is_some() {
            self.incomplete_tail = Some(self.position);
            return Ok(Poll::End);
        }
        let last = self.buffer.trim_ascii();
        if last.is_empty() {
            return Ok(Poll::End);
        }
        if is_whole_object(if self.position == 0 { last.strip_prefix(BYTE_ORDER_MARK).unwrap_or(last) } else { last }) {
            let last = std::mem::take(&mut self.buffer);
            self.searched = 0;
            return Ok(Poll::Records(self.deliver(last)));
        }
        self.incomplete_tail = Some(self.position);
        Ok(Poll::End)
    }
}

struct Skip {
    to: Offset,
    unchecked: Option<Identity>,
}

/// Enters a plain text at `position`, reading no more of what is before than identity needs.
fn jump_over(input: &dyn Input, name: &str, position: Offset, known: Option<&Identity>) -> Result<Tracker> {
    if input.bytes() < position.0 {
        return Err(truncated(name, position, input.bytes()));
    }
    if let Some(known) = known
        && Tracker::at(input, known.position.0)?.here() != *known
    {
        return Err(replaced(name));
    }
    Tracker::at(input, position.0)
}

fn truncated(name: &str, position: Offset, bytes: u64) -> Error {
    Error::invalid(format!(
        "was read up to byte {position} and has only {bytes} bytes of text now: it was truncated or replaced; \
         restore it, or give it another name, or read it as a new stream with --sink NAME"
    ))
    .in_file(name)
}

fn replaced(name: &str) -> Error {
    Error::invalid(
        "its text is not the one that was read before: it was replaced; \
         restore it, or give it another name, or read it as a new stream with --sink NAME",
    )
    .in_file(name)
}

fn is_whole_object(line: &[u8]) -> bool {
    line.first() == Some(&b'{') && serde_json::from_slice::<IgnoredAny>(line).is_ok()
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// How much of a line that is too long is kept, to be looked at.
const LONG_LINE_KEPT_BYTES: usize = 4 << 10;
const READ_BYTES_MIN: usize = 16 << 10;
const READ_BYTES_MAX: usize = 256 << 10;
/// So that a block with its longest line has ranges of 32 bits.
const BLOCK_BYTES_MAX: usize = 1 << 30;
