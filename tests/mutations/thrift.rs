//! The Thrift compact protocol without a schema: any struct as a tree whose values can be changed and written again.

/// One value. Structs and lists hold others.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    Bool(bool),
    Byte(u8),
    /// Of any width, by its type's number.
    Int(u8, i64),
    Double(u64),
    Binary(Vec<u8>),
    /// The elements' type, and a claimed length instead of the real one.
    List(u8, Vec<Tree>, Option<u64>),
    Struct(Vec<(i16, Tree)>),
}

/// Reads the struct at the start of `bytes`; none where it is none. The bytes that it took.
pub fn parse(bytes: &[u8]) -> Option<(Tree, usize)> {
    let mut at = 0;
    let tree = value(bytes, &mut at, 12, 0)?;
    Some((tree, at))
}

fn byte(bytes: &[u8], at: &mut usize) -> Option<u8> {
    *at += 1;
    bytes.get(*at - 1).copied()
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let b = byte(bytes, at)?;
        value |= u64::from(b & 0x7f) << shift;
        if b < 0x80 {
            return Some(value);
        }
    }
    None
}

fn zigzag(v: u64) -> i64 {
    (v >> 1) as i64 ^ -((v & 1) as i64)
}

fn value(bytes: &[u8], at: &mut usize, kind: u8, depth: usize) -> Option<Tree> {
    if depth > 40 {
        return None;
    }
    Some(match kind {
        1 | 2 => Tree::Bool(kind == 1),
        3 => Tree::Byte(byte(bytes, at)?),
        4..=6 => Tree::Int(kind, zigzag(varint(bytes, at)?)),
        7 => {
            let eight = bytes.get(*at..*at + 8)?;
            *at += 8;
            Tree::Double(u64::from_le_bytes(eight.try_into().ok()?))
        }
        8 => {
            let length = usize::try_from(varint(bytes, at)?).ok()?;
            let taken = bytes.get(*at..at.checked_add(length)?)?;
            *at += length;
            Tree::Binary(taken.to_vec())
        }
        9 | 10 => {
            let head = byte(bytes, at)?;
            let count = if head >> 4 == 15 { varint(bytes, at)? } else { u64::from(head >> 4) };
            let kind = head & 15;
            let mut list = Vec::new();
            for _ in 0..count {
                list.push(match kind {
                    1 | 2 => Tree::Bool(byte(bytes, at)? == 1),
                    _ => value(bytes, at, kind, depth + 1)?,
                });
            }
            Tree::List(kind, list, None)
        }
        12 => {
            let mut fields = Vec::new();
            let mut last = 0i16;
            loop {
                let head = byte(bytes, at)?;
                if head == 0 {
                    break;
                }
                last = match head >> 4 {
                    0 => i16::try_from(zigzag(varint(bytes, at)?)).ok()?,
                    delta => last.checked_add(i16::from(delta))?,
                };
                fields.push((last, value(bytes, at, head & 15, depth + 1)?));
            }
            Tree::Struct(fields)
        }
        _ => return None,
    })
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

impl Tree {
    fn kind(&self) -> u8 {
        match self {
            Tree::Bool(true) => 1,
            Tree::Bool(false) => 2,
            Tree::Byte(_) => 3,
            Tree::Int(kind, _) => *kind,
            Tree::Double(_) => 7,
            Tree::Binary(_) => 8,
            Tree::List(..) => 9,
            Tree::Struct(_) => 12,
        }
    }

    /// Writes it as [`parse`] reads it.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Tree::Bool(_) => {}
            Tree::Byte(b) => out.push(*b),
            Tree::Int(_, v) => put_varint(out, ((v << 1) ^ (v >> 63)) as u64),
            Tree::Double(v) => out.extend(v.to_le_bytes()),
            Tree::Binary(bytes) => {
                put_varint(out, bytes.len() as u64);
                out.extend(bytes);
            }
            Tree::List(kind, list, claimed) => {
                let count = claimed.unwrap_or(list.len() as u64);
                if count < 15 {
                    out.push((count as u8) << 4 | kind);
                } else {
                    out.push(0xf0 | kind);
                    put_varint(out, count);
                }
                for element in list {
                    match element {
                        Tree::Bool(b) => out.push(if *b { 1 } else { 2 }),
                        other => other.write(out),
                    }
                }
            }
            Tree::Struct(fields) => {
                let mut last = 0;
                for (id, field) in fields {
                    match id - last {
                        delta @ 1..=15 => out.push((delta as u8) << 4 | field.kind()),
                        _ => {
                            out.push(field.kind());
                            put_varint(out, ((i64::from(*id) << 1) ^ (i64::from(*id) >> 63)) as u64);
                        }
                    }
                    last = *id;
                    field.write(out);
                }
                out.push(0);
            }
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// How many values there are in it, itself included.
    pub fn count(&self) -> usize {
        1 + match self {
            Tree::List(_, list, _) => list.iter().map(Tree::count).sum::<usize>(),
            Tree::Struct(fields) => fields.iter().map(|(_, f)| f.count()).sum(),
            _ => 0,
        }
    }

    /// The value of number `n`, in depth-first order.
    pub fn nth(&mut self, n: usize) -> Option<&mut Tree> {
        if n == 0 {
            return Some(self);
        }
        let mut left = n - 1;
        let children: Vec<&mut Tree> = match self {
            Tree::List(_, list, _) => list.iter_mut().collect(),
            Tree::Struct(fields) => fields.iter_mut().map(|(_, f)| f).collect(),
            _ => return None,
        };
        for child in children {
            let count = child.count();
            if left < count {
                return child.nth(left);
            }
            left -= count;
        }
        None
    }

    /// The field of this id.
    pub fn field(&mut self, id: i16) -> Option<&mut Tree> {
        match self {
            Tree::Struct(fields) => fields.iter_mut().find(|(i, _)| *i == id).map(|(_, f)| f),
            _ => None,
        }
    }
}
