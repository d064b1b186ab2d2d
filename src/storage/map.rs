//! Reading a file through a memory map: pages come from the system's cache without a copy.

use std::fs::File;
use std::io;

use bytes::Bytes;

/// The file, of so many bytes, as bytes that are paged in when touched. A file that is made shorter by another process
/// while the map lives ends this process with SIGBUS; see [`Local`](super::Local) for who must care.
#[expect(unsafe_code, reason = "a memory map cannot be made without it")]
pub(super) fn map(file: &File, bytes: usize) -> io::Result<Bytes> {
    // SAFETY: the map is read-only and owned by the returned bytes. What the compiler may assume of a `&[u8]`,
    // that its bytes stay, holds as long as nobody writes into the file in place: files of this crate get
    // their name only when complete, and are replaced by a rename, which leaves the mapped file as it is.
    // Files of others are the caller's business, who can turn mapping off.
    let map = unsafe { memmap2::MmapOptions::new().len(bytes).map(file)? };
    Ok(Bytes::from_owner(map))
}
