//! The way there: a value, a slice or bits at a time.

use std::ops::{BitOr, BitXor};

use super::GROUP;
use crate::cursor::put_varint;
use crate::parquet::encoding::bit_pack;

/// Encodes values of one width.
///
/// Values wait in `pending` until they are eight, then either join a repeated run or are packed.
#[derive(Debug)]
pub struct Encoder {
    width: u32,
    out: Vec<u8>,
    /// The value that repeats at the end, and how often; its first values may still be in `pending`.
    repeated: u32,
    repeats: u64,
    pending: [u32; GROUP],
    pending_len: usize,
    /// Bit-packed values that have no header yet; always whole groups.
    packed: Vec<u32>,
}

/// Groups per bit-packed run, so that its header stays one byte.
const GROUPS_MAX: usize = 63;

impl Encoder {
    /// For values of `width` bits, 0 to 32.
    pub fn new(width: u32) -> Encoder {
        debug_assert!(width <= 32);
        Encoder {
            width,
            out: Vec::new(),
            repeated: 0,
            repeats: 0,
            pending: [0; GROUP],
            pending_len: 0,
            packed: Vec::new(),
        }
    }

    /// Appends one value.
    #[inline]
    pub fn push(&mut self, value: u32) {
        if value == self.repeated && self.repeats > 0 {
            self.repeats += 1;
            if self.repeats > GROUP as u64 {
                // In the run already; nothing to keep.
                return;
            }
            if self.repeats == GROUP as u64 && self.pending_len == GROUP - 1 {
                // The whole group is one value: a run, with what was packed before it closed.
                self.flush_packed();
                self.pending_len = 0;
                return;
            }
        } else {
            if self.repeats >= GROUP as u64 && self.pending_len == 0 {
                self.flush_run();
            }
            self.repeated = value;
            self.repeats = 1;
        }
        if let Some(slot) = self.pending.get_mut(self.pending_len) {
            *slot = value;
        }
        self.pending_len += 1;
        if self.pending_len == GROUP {
            self.pack_pending();
        }
    }

    /// Appends `count` times the same value.
    pub fn push_run(&mut self, value: u32, count: usize) {
        let mut left = count;
        // Value by value until a run has begun; then only its length grows.
        while left > 0 && !(self.in_run() && self.repeated == value) {
            self.push(value);
            left -= 1;
        }
        self.repeats += left as u64;
    }

    /// Appends all of `values`.
    pub fn extend(&mut self, values: &[u16]) {
        let mut rest = values;
        while let Some((&value, after)) = rest.split_first() {
            if self.in_run() && u32::from(value) == self.repeated {
                let (groups, tail) = rest.as_chunks::<GROUP>();
                let alike = groups.iter().take_while(|group| is_one(group, value)).count();
                let last = groups.get(alike).map_or(tail, |group| group.as_slice());
                let count = alike * GROUP + last.iter().take_while(|&&v| v == value).count();
                self.repeats += count as u64;
                rest = rest.get(count..).unwrap_or_default();
                continue;
            }
            match rest.split_first_chunk::<GROUP>() {
                // Where a group begins, it is taken as a whole.
                Some((group, after)) if self.pending_len == 0 && !self.in_run() => {
                    if is_one(group, value) {
                        self.flush_packed();
                        (self.repeated, self.repeats) = (u32::from(value), GROUP as u64);
                    } else {
                        self.pending = group.map(u32::from);
                        self.pack_pending();
                    }
                    rest = after;
                }
                _ => {
                    self.push(u32::from(value));
                    rest = after;
                }
            }
        }
    }

    /// Bytes so far, about: what is buffered is counted as packed.
    pub fn bytes(&self) -> usize {
        self.out.len() + bit_pack::packed_bytes(self.packed.len() + self.pending_len, self.width) + 8
    }

    /// The encoded bytes; the encoder is empty again.
    pub fn finish(&mut self) -> Vec<u8> {
        if self.in_run() {
            self.flush_run();
        } else if self.pending_len > 0 {
            // A tail of one value takes fewer bytes as a run.
            if self.packed.is_empty() && self.repeats as usize == self.pending_len {
                self.flush_run();
            } else {
                for slot in self.pending.iter_mut().skip(self.pending_len) {
                    *slot = 0;
                }
                self.pack_pending();
            }
        }
        self.flush_packed();
        self.repeats = 0;
        self.pending_len = 0;
        std::mem::take(&mut self.out)
    }

    fn in_run(&self) -> bool {
        self.repeats >= GROUP as u64 && self.pending_len == 0
    }

    fn flush_run(&mut self) {
        put_run(self.repeated, self.repeats, self.width, &mut self.out);
        self.repeats = 0;
        self.pending_len = 0;
    }

    fn pack_pending(&mut self) {
        self.packed.extend_from_slice(&self.pending);
        self.pending_len = 0;
        // What was packed cannot be part of a run any more.
        self.repeats = 0;
        if self.packed.len() == GROUPS_MAX * GROUP {
            self.flush_packed();
        }
    }

    fn flush_packed(&mut self) {
        put_packed(&self.packed, self.width, &mut self.out);
        self.packed.clear();
    }
}

/// Whether all of a group are `value`.
#[inline]
fn is_one<T>(group: &[T; GROUP], value: T) -> bool
where
    T: Copy + Default + PartialEq + BitXor<Output = T> + BitOr<Output = T>,
{
    group.iter().fold(T::default(), |differ, &v| differ | (v ^ value)) == T::default()
}

/// Appends all of `values`, of `width` bits, at once: faster than value by value.
pub fn encode(values: &[u32], width: u32, out: &mut Vec<u8>) {
    debug_assert!(width <= 32);
    // A run within packed groups costs its own head and another one after it.
    let run_min = if width >= 4 { GROUP } else { 4 * GROUP / width.max(1) as usize };
    let mut rest = values;
    // Values at the start of `rest` that will be packed: whole groups.
    let mut packed = 0;
    while let Some((group, after)) = rest.get(packed..).and_then(|tail| tail.split_first_chunk::<GROUP>()) {
        let [first, ..] = *group;
        if is_one(group, first) {
            let run = GROUP + after.iter().take_while(|&&v| v == first).count();
            if run >= run_min || packed + run == rest.len() {
                put_packed(rest.get(..packed).unwrap_or_default(), width, out);
                put_run(first, run as u64, width, out);
                rest = rest.get(packed + run..).unwrap_or_default();
                packed = 0;
                continue;
            }
        }
        packed += GROUP;
        if packed == GROUPS_MAX * GROUP {
            put_packed(rest.get(..packed).unwrap_or_default(), width, out);
            rest = rest.get(packed..).unwrap_or_default();
            packed = 0;
        }
    }
    match rest.split_first() {
        None => {}
        // A tail of one value takes fewer bytes as a run.
        Some((first, others)) if packed == 0 && others.iter().all(|v| v == first) => {
            put_run(*first, rest.len() as u64, width, out);
        }
        Some(_) => put_packed(rest, width, out),
    }
}

/// Appends the first `count` of `bits`, the least significant bit first, as values of width 1.
///
/// A byte of them is a packed group as it stands.
pub fn encode_bits(bits: &[u8], count: usize, out: &mut Vec<u8>) {
    /// Bytes of one value that are worth a run.
    const RUN_MIN: usize = 4;
    let (whole, tail_bits) = (count / GROUP, count % GROUP);
    let mut rest = bits.get(..whole).unwrap_or(bits);
    let mut packed = 0;
    while let Some((&byte, after)) = rest.get(packed..).and_then(<[u8]>::split_first) {
        if byte == 0 || byte == u8::MAX {
            let run = 1 + after.iter().take_while(|&&b| b == byte).count();
            if run >= RUN_MIN || packed + run == rest.len() {
                put_packed_bits(rest.get(..packed).unwrap_or_default(), out);
                put_run(u32::from(byte & 1), (run * GROUP) as u64, 1, out);
                rest = rest.get(packed + run..).unwrap_or_default();
                packed = 0;
                continue;
            }
        }
        packed += 1;
        if packed == GROUPS_MAX {
            put_packed_bits(rest.get(..packed).unwrap_or_default(), out);
            rest = rest.get(packed..).unwrap_or_default();
            packed = 0;
        }
    }
    put_packed_bits(rest, out);
    if let Some(&last) = bits.get(whole).filter(|_| tail_bits > 0) {
        put_packed_bits(&[last & ((1u16 << tail_bits) - 1) as u8], out);
    }
}

/// Appends `count` times the same value.
pub fn encode_run(value: u32, count: usize, width: u32, out: &mut Vec<u8>) {
    if count > 0 {
        put_run(value, count as u64, width, out);
    }
}

fn put_run(value: u32, count: u64, width: u32, out: &mut Vec<u8>) {
    put_varint(out, count << 1);
    out.extend(value.to_le_bytes().iter().take(width.div_ceil(8) as usize));
}

fn put_packed(values: &[u32], width: u32, out: &mut Vec<u8>) {
    let groups = values.len().div_ceil(GROUP);
    if groups > 0 {
        put_varint(out, groups as u64 * 2 + 1);
        let end = out.len() + groups * width as usize;
        bit_pack::pack(values, width, out);
        out.resize(end, 0);
    }
}

/// Groups of eight bits.
fn put_packed_bits(groups: &[u8], out: &mut Vec<u8>) {
    if !groups.is_empty() {
        put_varint(out, groups.len() as u64 * 2 + 1);
        out.extend_from_slice(groups);
    }
}
