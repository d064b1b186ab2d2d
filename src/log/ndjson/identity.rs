//! Telling text that has grown from text that was replaced: hashes of its first bytes and of those before a position.

use std::collections::VecDeque;

use twox_hash::XxHash3_64;

use crate::error::Result;
use crate::log::{Identity, Offset};
use crate::storage::Input;

/// Follows the text as it is read.
pub(super) struct Tracker {
    position: u64,
    /// Grows up to [`HEAD_BYTES`], then it is let go, for its hash.
    head: Vec<u8>,
    head_hash: Option<u64>,
    tail: Vec<u8>,
    /// What is known about earlier positions, oldest first.
    checkpoints: VecDeque<Identity>,
}

impl Tracker {
    /// At the start of the text.
    pub(super) fn new() -> Tracker {
        Tracker {
            position: 0,
            head: Vec::new(),
            head_hash: None,
            tail: Vec::new(),
            checkpoints: VecDeque::from([Identity::default()]),
        }
    }

    /// At `position` of a stored plain text that reaches at least up to there.
    pub(super) fn at(input: &dyn Input, position: u64) -> Result<Tracker> {
        let mut tracker = Tracker::new();
        let head = input.read(0..position.min(HEAD_BYTES))?;
        tracker.pass(&head);
        let tail = input.read(position.saturating_sub(TAIL_BYTES)..position)?;
        tracker.tail = tail.to_vec();
        tracker.position = position;
        tracker.checkpoint();
        Ok(tracker)
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Takes the next bytes of the text.
    pub(super) fn pass(&mut self, text: &[u8]) {
        if self.head_hash.is_none() {
            let room = (HEAD_BYTES as usize).saturating_sub(self.head.len()).min(text.len());
            self.head.extend_from_slice(text.get(..room).unwrap_or_default());
            if self.head.len() as u64 == HEAD_BYTES {
                self.head_hash = Some(hash(&self.head));
                self.head = Vec::new();
            }
        }
        let tail_bytes = TAIL_BYTES as usize;
        if let Some(last) = text.len().checked_sub(tail_bytes).and_then(|start| text.get(start..)) {
            self.tail.clear();
            self.tail.extend_from_slice(last);
        } else {
            let surplus = (self.tail.len() + text.len()).saturating_sub(tail_bytes);
            self.tail.drain(..surplus.min(self.tail.len()));
            self.tail.extend_from_slice(text);
        }
        self.position += text.len() as u64;
    }

    /// What is known at the position where it is.
    pub(super) fn here(&self) -> Identity {
        Identity {
            position: Offset(self.position),
            head_bytes: self.position.min(HEAD_BYTES),
            head_hash: if self.position == 0 { 0 } else { self.head_hash.unwrap_or_else(|| hash(&self.head)) },
            tail_bytes: self.tail.len() as u64,
            tail_hash: if self.position == 0 { 0 } else { hash(&self.tail) },
        }
    }

    /// Remembers what is known here, for a later [`identity`](Self::identity).
    pub(super) fn checkpoint(&mut self) {
        if self.checkpoints.len() >= CHECKPOINTS_MAX {
            // Coarser where it is old.
            let mut keep = false;
            self.checkpoints.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.checkpoints.push_back(self.here());
    }

    /// The newest checkpoint at or before `position`; forgets those before it.
    pub(super) fn identity(&mut self, position: Offset) -> Identity {
        let known = self.checkpoints.partition_point(|c| c.position <= position);
        self.checkpoints.drain(..known.saturating_sub(1));
        self.checkpoints.front().filter(|c| c.position <= position).cloned().unwrap_or_default()
    }
}

fn hash(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

const HEAD_BYTES: u64 = 64 << 10;
const TAIL_BYTES: u64 = 4 << 10;
const CHECKPOINTS_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|i| (i * 31 % 251) as u8).collect()
    }

    #[test]
    fn it_is_the_same_however_the_text_is_cut() {
        for bytes in [0, 1, 4095, 4096, 4097, 65_535, 65_536, 65_537, 200_000] {
            let text = text(bytes);
            let mut whole = Tracker::new();
            whole.pass(&text);
            for piece in [1_000, 4_096, 70_000] {
                let mut cut = Tracker::new();
                text.chunks(piece).for_each(|chunk| cut.pass(chunk));
                assert_eq!(cut.here(), whole.here(), "{bytes} bytes by {piece}");
            }
            assert_eq!(whole.here().head_bytes, bytes.min(65_536) as u64);
            assert_eq!(whole.here().tail_bytes, bytes.min(4_096) as u64);
        }
    }

    #[test]
    fn a_change_in_the_head_or_just_before_the_position_shows() {
        let text = text(200_000);
        let identity = |text: &[u8]| {
            let mut tracker = Tracker::new();
            tracker.pass(text);
            tracker.here()
        };
        for at in [0, 65_535, 199_999, 200_000 - 4096] {
            let mut changed = text.clone();
            changed[at] ^= 1;
            assert_ne!(identity(&changed), identity(&text), "byte {at}");
        }
    }

    #[test]
    fn the_newest_checkpoint_before_a_position_answers() {
        let mut tracker = Tracker::new();
        for _ in 0..10 {
            tracker.pass(&text(100));
            tracker.checkpoint();
        }
        assert_eq!(tracker.identity(Offset(99)).position, Offset(0));
        assert_eq!(tracker.identity(Offset(350)).position, Offset(300));
        assert_eq!(tracker.identity(Offset(350)).position, Offset(300));
        assert_eq!(tracker.identity(Offset(1000)), tracker.here());
    }
}
