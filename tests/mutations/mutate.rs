//! One change to a file, chosen by a seed.

use hypostyle::parquet::format::{FileMetaData, footer};

use super::generate::Random;
use super::seeds::{Page, Seed};
use super::thrift::{self, Tree};

/// A changed file.
pub struct Mutant {
    pub what: String,
    pub bytes: Vec<u8>,
    /// Checksums cover all that was changed: what is read is an error or the rows that were written.
    pub is_protected: bool,
}

/// A mutation of the file; none where the kind that was drawn does not fit it.
pub fn mutant(seed: &Seed, random: &mut Random) -> Option<Mutant> {
    let file = &seed.bytes;
    let plain = |what: String, bytes: Vec<u8>| Some(Mutant { what, bytes, is_protected: false });
    match random.below(16) {
        0 | 1 => {
            let at = random.below(file.len() as u64) as usize;
            let bit = random.below(8);
            let mut bytes = file.clone();
            bytes[at] ^= 1 << bit;
            let is_protected = seed.pages.iter().any(|p| p.has_crc && p.body.contains(&at));
            Some(Mutant { what: format!("bit {bit} of byte {at}"), bytes, is_protected })
        }
        2 => {
            let cut = random.below(file.len() as u64) as usize;
            plain(format!("cut to {cut} bytes"), file[..cut].to_vec())
        }
        3 => {
            // A hole in the middle: the footer is whole, and everything behind the hole has moved.
            let at = random.below(file.len() as u64) as usize;
            let end = (at + 1 + random.below(60) as usize).min(file.len());
            let mut bytes = file.clone();
            bytes.drain(at..end);
            plain(format!("bytes {at}..{end} taken out"), bytes)
        }
        4 => {
            let at = random.below(file.len() as u64) as usize;
            let value = [0, 0xff, 0x7f, 0x80, random.next() as u8][random.below(5) as usize];
            let length = (1 + random.below(8) as usize).min(file.len() - at);
            let mut bytes = file.clone();
            bytes[at..at + length].fill(value);
            let is_protected = seed.pages.iter().any(|p| p.has_crc && p.body.start <= at && at + length <= p.body.end);
            Some(Mutant { what: format!("bytes {at}..{} made {value:#x}", at + length), bytes, is_protected })
        }
        5 => spliced(seed, random),
        // A byte of a body, and the checksum made right.
        6..=8 => {
            let page = pick(&seed.pages, random)?;
            if page.body.is_empty() || seed.keys.is_some() {
                return None;
            }
            // Often at the start, where lengths, widths and levels are.
            let within = if random.below(2) == 0 { page.body.len().min(12) } else { page.body.len() };
            let at = page.body.start + random.below(within as u64) as usize;
            let value = [0, 0xff, 0x7f, 0x80, 0x01, random.next() as u8][random.below(6) as usize];
            let mut bytes = file.clone();
            bytes[at] = if random.below(2) == 0 { value } else { bytes[at] ^ (1 << random.below(8)) };
            let bytes = with_crc(&bytes, page)?;
            plain(format!("byte {at} of the page at {} with its checksum", page.header.start), bytes)
        }
        9..=11 => header(seed, random),
        _ => metadata(seed, random),
    }
}

fn pick<'a>(pages: &'a [Page], random: &mut Random) -> Option<&'a Page> {
    pages.get(random.below(pages.len() as u64) as usize)
}

/// A page's bytes where another's were.
fn spliced(seed: &Seed, random: &mut Random) -> Option<Mutant> {
    let (from, to) = (pick(&seed.pages, random)?, pick(&seed.pages, random)?);
    let whole = |page: &Page| page.header.start..page.body.end;
    let mut bytes = seed.bytes.clone();
    let page = seed.bytes[whole(from)].to_vec();
    let what = format!("the page at {} for the one at {}", from.header.start, to.header.start);
    if random.below(2) == 0 {
        // In its room, cut or filled up.
        let room = whole(to);
        let copied = page.len().min(room.len());
        bytes[room.start..room.start + copied].copy_from_slice(&page[..copied]);
        return Some(Mutant { what, bytes, is_protected: false });
    }
    let moved = page.len() as i64 - whole(to).len() as i64;
    bytes.splice(whole(to), page);
    let bytes = shifted(bytes, to.header.start, moved)?;
    Some(Mutant { what: format!("{what}, moving what follows"), bytes, is_protected: false })
}

/// The file with the page's checksum made that of its body.
fn with_crc(file: &[u8], page: &Page) -> Option<Vec<u8>> {
    let (mut tree, _) = thrift::parse(&file[page.header.clone()])?;
    let crc = crc32fast::hash(&file[page.body.clone()]);
    match tree.field(4) {
        Some(Tree::Int(_, value)) => *value = i64::from(crc.cast_signed()),
        _ => return Some(file.to_vec()),
    }
    replaced(file, page, &tree.bytes())
}

/// The file with another page header, and the footer's offsets moved by what it is longer.
fn replaced(file: &[u8], page: &Page, header: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = file.to_vec();
    let moved = header.len() as i64 - page.header.len() as i64;
    bytes.splice(page.header.clone(), header.iter().copied());
    if moved == 0 { Some(bytes) } else { shifted(bytes, page.header.start, moved) }
}

/// The file whose bytes behind `at` have moved, with a footer that says so; its offset indexes are left out.
fn shifted(mut file: Vec<u8>, at: usize, moved: i64) -> Option<Vec<u8>> {
    let (mut metadata, start) = footer_of(&file)?;
    let shift = |offset: &mut i64| {
        if *offset > at as i64 {
            *offset += moved;
        }
    };
    for chunk in metadata.row_groups.iter_mut().flat_map(|g| &mut g.columns) {
        chunk.offset_index_offset = None;
        chunk.offset_index_length = None;
        chunk.column_index_offset.iter_mut().for_each(shift);
        let Some(meta) = &mut chunk.meta_data else { continue };
        let range = meta.dictionary_page_offset.unwrap_or(meta.data_page_offset);
        if (range..range + meta.total_compressed_size).contains(&(at as i64)) {
            meta.total_compressed_size += moved;
        }
        shift(&mut meta.data_page_offset);
        meta.dictionary_page_offset.iter_mut().for_each(shift);
        meta.bloom_filter_offset.iter_mut().for_each(shift);
    }
    file.truncate(start);
    file.extend(footer::encode(&metadata).ok()?);
    Some(file)
}

fn footer_of(file: &[u8]) -> Option<(FileMetaData, usize)> {
    let tail = *file.last_chunk::<8>()?;
    let (range, is_encrypted) = footer::locate(tail, file.len() as u64).ok()?;
    if is_encrypted {
        return None;
    }
    let start = range.start as usize;
    let metadata = footer::decode(&file[start..range.end as usize], range.start).ok()?;
    Some((metadata, start))
}

/// A field of a page's header is another.
fn header(seed: &Seed, random: &mut Random) -> Option<Mutant> {
    let page = pick(&seed.pages, random)?;
    let (mut tree, used) = thrift::parse(&seed.bytes[page.header.clone()])?;
    if used != page.header.len() {
        return None;
    }
    let what = edit(&mut tree, seed.bytes.len(), random)?;
    let bytes = replaced(&seed.bytes, page, &tree.bytes())?;
    Some(Mutant { what: format!("header of the page at {}: {what}", page.header.start), bytes, is_protected: false })
}

/// A field of the footer, of an index or of a Bloom filter's header is another.
fn metadata(seed: &Seed, random: &mut Random) -> Option<Mutant> {
    let (metadata, start) = footer_of(&seed.bytes)?;
    let mut places = Vec::new();
    for chunk in metadata.row_groups.iter().flat_map(|g| &g.columns) {
        places.extend([chunk.column_index_offset, chunk.offset_index_offset].into_iter().flatten());
        places.extend(chunk.meta_data.as_ref().and_then(|m| m.bloom_filter_offset));
    }
    if !places.is_empty() && random.below(4) == 0 {
        let place = places[random.below(places.len() as u64) as usize] as usize;
        let (mut tree, used) = thrift::parse(seed.bytes.get(place..)?)?;
        let what = edit(&mut tree, seed.bytes.len(), random)?;
        let mut bytes = tree.bytes();
        // In its room: a shorter one is followed by what is skipped, a longer one runs into what follows.
        bytes.resize(used.max(bytes.len()), 0);
        let mut file = seed.bytes.clone();
        let end = (place + bytes.len()).min(start);
        file.get_mut(place..end)?.copy_from_slice(bytes.get(..end - place)?);
        return Some(Mutant { what: format!("index at {place}: {what}"), bytes: file, is_protected: false });
    }
    let end = seed.bytes.len() - 8;
    let (mut tree, _) = thrift::parse(&seed.bytes[start..end])?;
    let what = edit(&mut tree, seed.bytes.len(), random)?;
    let footer = tree.bytes();
    let mut bytes = seed.bytes[..start].to_vec();
    bytes.extend(&footer);
    bytes.extend((footer.len() as u32).to_le_bytes());
    bytes.extend(b"PAR1");
    Some(Mutant { what: format!("footer: {what}"), bytes, is_protected: false })
}

/// Changes one value of the tree; says which and how.
fn edit(tree: &mut Tree, file_bytes: usize, random: &mut Random) -> Option<String> {
    let count = tree.count() as u64;
    let at = random.below(count) as usize;
    let value = tree.nth(at)?;
    let before = format!("{value:?}");
    let before: String = before.chars().take(80).collect();
    match value {
        Tree::Bool(b) => *b = !*b,
        Tree::Byte(b) => *b = random.next() as u8,
        Tree::Int(_, v) => {
            let bytes = file_bytes as i64;
            *v = match random.below(14) {
                0 => -1,
                1 => 0,
                2 => 1,
                3 => *v + 1,
                4 => *v - 1,
                5 => v.wrapping_mul(2),
                6 => i64::from(i32::MAX),
                7 => i64::from(i32::MIN),
                8 => i64::MAX,
                9 => i64::MIN,
                10 => bytes,
                11 => random.below(bytes as u64) as i64,
                12 => random.below(40) as i64,
                _ => -*v,
            };
        }
        Tree::Double(v) => *v = random.next(),
        Tree::Binary(bytes) => match random.below(4) {
            0 => bytes.clear(),
            1 => bytes.extend([0xff; 9]),
            2 => bytes.truncate(bytes.len() / 2),
            _ => {
                let at = random.below(bytes.len() as u64) as usize;
                *bytes.get_mut(at)? ^= 1 << random.below(8);
            }
        },
        Tree::List(_, list, claimed) => match random.below(5) {
            0 => *claimed = Some(list.len() as u64 + 1),
            1 => *claimed = Some([1 << 20, 1 << 31, 1 << 40, u64::MAX][random.below(4) as usize]),
            2 => list.clear(),
            3 => drop(list.pop()),
            _ => list.push(list.first()?.clone()),
        },
        Tree::Struct(fields) => {
            let at = random.below(fields.len() as u64) as usize;
            match random.below(3) {
                0 if at < fields.len() => drop(fields.remove(at)),
                1 => fields.get_mut(at)?.0 = random.below(24) as i16,
                _ => {
                    let twice = fields.get(at)?.clone();
                    fields.insert(at, twice);
                }
            }
        }
    }
    let after: String = format!("{:?}", tree.nth(at)?).chars().take(80).collect();
    Some(format!("value {at}, {before}, became {after}"))
}
