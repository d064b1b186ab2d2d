"""Edits the footer of a Parquet file without any library for Parquet: Thrift's compact protocol, read and written as a tree.

For what no implementation writes yet. A struct is a dict {field id: (kind, value)}, a list (kind, [values]).
"""
import struct

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)


def edit(path, change):
    """Calls `change` with the footer's tree, and writes the file with the changed one."""
    with open(path, "rb") as file:
        content = file.read()
    length = struct.unpack("<I", content[-8:-4])[0]
    assert content[-4:] == b"PAR1"
    reader = Reader(content[-8 - length:-8])
    tree = reader.value(STRUCT)
    assert encode(STRUCT, tree) == content[-8 - length:-8][:reader.at], "what is not changed stays as it is"
    change(tree)
    footer = encode(STRUCT, tree)
    with open(path, "wb") as file:
        file.write(content[:-8 - length] + footer + struct.pack("<I", len(footer)) + b"PAR1")


class Reader:
    def __init__(self, content):
        self.content, self.at = content, 0

    def take(self, count):
        self.at += count
        return self.content[self.at - count:self.at]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def zigzag(self):
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def value(self, kind):
        if kind == BYTE:
            return self.take(1)[0]
        if kind in (I16, I32, I64):
            return self.zigzag()
        if kind == DOUBLE:
            return self.take(8)
        if kind == BINARY:
            return self.take(self.varint())
        if kind in (LIST, SET):
            head = self.take(1)[0]
            count, inner = head >> 4, head & 15
            count = self.varint() if count == 15 else count
            return inner, [self.take(1)[0] if inner in (TRUE, FALSE) else self.value(inner) for _ in range(count)]
        assert kind == STRUCT, kind
        fields, last = {}, 0
        while (head := self.take(1)[0]) != 0:
            last = last + (head >> 4) if head >> 4 else self.zigzag()
            inner = head & 15
            fields[last] = (inner, None if inner in (TRUE, FALSE) else self.value(inner))
        return fields


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def zigzag(value):
    return varint(value << 1 if value >= 0 else (-value << 1) - 1)


def encode(kind, value):
    if kind == BYTE:
        return bytes([value])
    if kind in (I16, I32, I64):
        return zigzag(value)
    if kind == DOUBLE:
        return value
    if kind == BINARY:
        return varint(len(value)) + value
    if kind in (LIST, SET):
        inner, values = value
        head = bytes([len(values) << 4 | inner]) if len(values) < 15 else bytes([0xF0 | inner]) + varint(len(values))
        return head + b"".join(bytes([v]) if inner in (TRUE, FALSE) else encode(inner, v) for v in values)
    out, last = b"", 0
    for number, (inner, field) in sorted(value.items()):
        step = number - last
        out += bytes([step << 4 | inner]) if 0 < step < 16 else bytes([inner]) + zigzag(number)
        out += b"" if inner in (TRUE, FALSE) else encode(inner, field)
        last = number
    return out + b"\0"
