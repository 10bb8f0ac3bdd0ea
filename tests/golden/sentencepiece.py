"""Reads and writes SentencePiece's .model files, as far as tests need them: pieces with scores and types, the
kind of model, the character map."""

import dataclasses
import struct

NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
UNIGRAM, BPE = 1, 2


@dataclasses.dataclass
class Model:
    pieces: list  # (text, score, type)
    kind: int = UNIGRAM
    unk_id: int = 0
    unk_piece: str = "<unk>"
    byte_fallback: bool = False
    charsmap: bytes = b""


def varint(value):
    out = b""
    while value >= 128:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    """A field: an integer, a float, or bytes."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value)


def read_varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == 0:
            value, at = read_varint(data, at)
        elif key & 7 == 2:
            length, at = read_varint(data, at)
            value, at = data[at : at + length], at + length
        else:
            length = 4 if key & 7 == 5 else 8
            value, at = data[at : at + length], at + length
        yield key >> 3, value


def read(path):
    model = Model([])
    with open(path, "rb") as file:
        data = file.read()
    for number, value in fields(data):
        if number == 1:
            piece = dict(fields(value))
            score = struct.unpack("<f", piece.get(2, b"\0\0\0\0"))[0]
            model.pieces.append((piece[1].decode(), score, piece.get(3, NORMAL)))
        elif number == 2:
            spec = dict(fields(value))
            model.kind = spec.get(3, UNIGRAM)
            model.unk_id = spec.get(40, 0)
            model.unk_piece = spec.get(45, b"<unk>").decode()
            model.byte_fallback = bool(spec.get(35, 0))
        elif number == 3:
            model.charsmap = dict(fields(value)).get(2, b"")
    return model


def write(model):
    """The bytes of a file."""
    out = b""
    for text, score, kind in model.pieces:
        piece = field(1, text.encode()) + field(2, float(score))
        out += field(1, piece + (field(3, kind) if kind != NORMAL else b""))
    spec = field(3, model.kind) + field(35, int(model.byte_fallback)) + field(40, model.unk_id)
    out += field(2, spec + field(45, model.unk_piece.encode()))
    return out + field(3, field(1, b"nmt_nfkc") + field(2, model.charsmap))
