//! The uncompressed text of a source, front to back, in bounded memory.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use bytes::{Buf, Bytes};

use crate::error::{Error, Result};
use crate::storage::Input;

/// What [`Text::read`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    /// This many bytes, not 0.
    Bytes(usize),
    /// Nothing for now; a moment has been waited.
    Idle,
    End,
}

/// How a file is compressed, by the ending of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

pub(super) struct Text {
    kind: Kind,
    /// Of the next byte, uncompressed.
    position: u64,
}

enum Kind {
    Plain(Arc<dyn Input>),
    Gzip(Box<flate2::bufread::MultiGzDecoder<InputReader>>),
    Zstd(zstd::stream::read::Decoder<'static, InputReader>),
    Stream { chunks: Receiver<io::Result<Vec<u8>>>, rest: Bytes, taken: u64 },
    Released { stored_bytes: u64 },
}

impl Text {
    pub(super) fn file(input: Arc<dyn Input>, packing: Packing) -> Result<Text> {
        let kind = match packing {
            Packing::Plain => Kind::Plain(input),
            Packing::Gzip => Kind::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(InputReader::new(input)))),
            Packing::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(InputReader::new(input))?;
                // A frame may ask for a window this large, and for no larger one.
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Kind::Zstd(decoder)
            }
        };
        Ok(Text { kind, position: 0 })
    }

    /// Reads `reader` on a thread of its own, so that whoever polls can go on (and stop) while it has nothing.
    pub(super) fn stream(reader: Box<dyn Read + Send>) -> Result<Text> {
        let (sender, chunks) = sync_channel(STREAM_CHUNKS_AHEAD);
        std::thread::Builder::new()
            .name("ndjson-stream".into())
            .spawn(move || pump(reader, &sender))
            .map_err(|e| Error::io(format!("cannot start a thread to read a stream: {e}")).with_source(e))?;
        Ok(Text { kind: Kind::Stream { chunks, rest: Bytes::new(), taken: 0 }, position: 0 })
    }

    /// Stored (compressed) bytes read so far.
    pub(super) fn stored_bytes(&self) -> u64 {
        match &self.kind {
            Kind::Plain(_) => self.position,
            Kind::Gzip(decoder) => decoder.get_ref().position,
            Kind::Zstd(decoder) => decoder.get_ref().position,
            Kind::Stream { taken, .. } => *taken,
            Kind::Released { stored_bytes } => *stored_bytes,
        }
    }

    /// The stored file, when its bytes are the text.
    pub(super) fn plain(&self) -> Option<&Arc<dyn Input>> {
        match &self.kind {
            Kind::Plain(input) => Some(input),
            _ => None,
        }
    }

    /// Goes to `position` of a plain file.
    pub(super) fn jump(&mut self, position: u64) {
        self.position = position;
    }

    /// Lets the file and the decompressor go; there is nothing more to read then.
    pub(super) fn release(&mut self) {
        self.kind = Kind::Released { stored_bytes: self.stored_bytes() };
    }

    /// Appends up to `bytes_max` bytes to `out`.
    pub(super) fn read(&mut self, out: &mut Vec<u8>, bytes_max: usize) -> Result<Chunk> {
        let chunk = match &mut self.kind {
            Kind::Plain(input) => {
                let end = input.bytes().min(self.position.saturating_add(bytes_max as u64));
                if self.position >= end {
                    Chunk::End
                } else {
                    let bytes = input.read(self.position..end)?;
                    out.extend_from_slice(&bytes);
                    Chunk::Bytes(bytes.len())
                }
            }
            Kind::Gzip(decoder) => {
                let read = read_some(decoder, out, bytes_max);
                read.map_err(|e| decoder.get_ref().fault(e, "gzip", self.position))?
            }
            Kind::Zstd(decoder) => {
                let read = read_some(decoder, out, bytes_max);
                read.map_err(|e| decoder.get_ref().fault(e, "zstd", self.position))?
            }
            Kind::Stream { chunks, rest, taken } => {
                if rest.is_empty() {
                    match chunks.recv_timeout(STREAM_WAIT) {
                        Ok(chunk) => *rest = Bytes::from(chunk?),
                        Err(RecvTimeoutError::Timeout) => return Ok(Chunk::Idle),
                        Err(RecvTimeoutError::Disconnected) => return Ok(Chunk::End),
                    }
                }
                let piece = rest.split_to(rest.len().min(bytes_max));
                *taken += piece.len() as u64;
                out.extend_from_slice(&piece);
                Chunk::Bytes(piece.len())
            }
            Kind::Released { .. } => Chunk::End,
        };
        if let Chunk::Bytes(bytes) = chunk {
            self.position += bytes as u64;
        }
        Ok(chunk)
    }
}

fn read_some(decoder: &mut impl Read, out: &mut Vec<u8>, bytes_max: usize) -> io::Result<Chunk> {
    let start = out.len();
    out.resize(start + bytes_max, 0);
    let read = loop {
        match decoder.read(out.get_mut(start..).unwrap_or_default()) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => break other,
        }
    };
    out.truncate(start + *read.as_ref().unwrap_or(&0));
    Ok(match read? {
        0 => Chunk::End,
        bytes => Chunk::Bytes(bytes),
    })
}

fn pump(mut reader: Box<dyn Read + Send>, chunks: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut chunk = vec![0; READ_BYTES];
        let sent = match reader.read(&mut chunk) {
            Ok(0) => return,
            Ok(bytes) => {
                chunk.truncate(bytes);
                chunks.send(Ok(chunk))
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => {
                // Nobody to tell when the other side has gone.
                let _ = chunks.send(Err(e));
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// A stored file, front to back, for a decompressor.
struct InputReader {
    input: Arc<dyn Input>,
    position: u64,
    ahead: Bytes,
}

impl InputReader {
    fn new(input: Arc<dyn Input>) -> InputReader {
        InputReader { input, position: 0, ahead: Bytes::new() }
    }

    /// An error of the decompressor as ours: the file's own if it was that, or else the file is broken.
    fn fault(&self, e: io::Error, format: &str, text_position: u64) -> Error {
        let e = match e.downcast::<Error>() {
            Ok(own) => return own,
            Err(e) => e,
        };
        let what = if e.kind() == io::ErrorKind::UnexpectedEof {
            format!("the {format} stream is cut off")
        } else {
            format!("the {format} stream is broken ({e})")
        };
        Error::corrupt(format!(
            "{what}, after {text_position} bytes of text; records before that are good, replace the file by a whole one"
        ))
        .at_byte(self.position)
        .in_file(self.input.name())
        .with_source(e)
    }
}

impl BufRead for InputReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.ahead.is_empty() {
            let end = self.input.bytes().min(self.position.saturating_add(READ_BYTES as u64));
            if self.position < end {
                self.ahead = self.input.read(self.position..end).map_err(io::Error::other)?;
            }
        }
        Ok(&self.ahead)
    }

    fn consume(&mut self, bytes: usize) {
        let bytes = bytes.min(self.ahead.len());
        self.ahead.advance(bytes);
        self.position += bytes as u64;
    }
}

impl Read for InputReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}

const READ_BYTES: usize = 64 << 10;
/// 128 MiB, the largest that zstd's own tools take without being told to.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
const STREAM_CHUNKS_AHEAD: usize = 4;
/// How long a stream without data is waited for; a stop is seen this late.
const STREAM_WAIT: Duration = Duration::from_millis(50);
