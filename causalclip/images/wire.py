"""Messages between the app and a sandbox: JSON, and pixels and bytes as they are.

Whoever has taken a sandbox over can send whatever JSON they like, and get nothing made of it but
numbers, texts, arrays, and this project's own data classes and errors.
"""

from __future__ import annotations

import json
import struct
import sys
from dataclasses import fields, is_dataclass
from typing import IO, Any

import numpy as np

_COUNT, _SIZE = struct.Struct(">I"), struct.Struct(">Q")
_MAX_PARTS = 8
_MAX_TEXT_BYTES = 2**24  # of a message's JSON
_MAX_MESSAGE_BYTES = 2**29  # of all its parts


def send(stream: IO[bytes], message: Any) -> None:
    """Write a message: of plain values, bytes, uint8 arrays, data classes and errors.

    Raises:
        TypeError: it holds anything else.
    """
    large: list[Any] = []
    body = json.dumps(_plain(message, large)).encode()
    parts = [memoryview(body), *(memoryview(part) for part in large)]
    sizes = b"".join(_SIZE.pack(part.nbytes) for part in parts)
    stream.write(_COUNT.pack(len(parts)) + sizes)
    for part in parts:
        stream.write(part.cast("B"))
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Read a message. Pixels come straight to where they stay, as they take much.

    Raises:
        EOFError: it breaks off, or is too large.
        ValueError: it is none.
    """
    (count,) = _COUNT.unpack(exactly(stream, _COUNT.size))
    sizes = [_SIZE.unpack(exactly(stream, _SIZE.size))[0] for _ in range(min(count, _MAX_PARTS))]
    if not sizes or sizes[0] > _MAX_TEXT_BYTES or sum(sizes) > _MAX_MESSAGE_BYTES:
        raise EOFError
    body, *large = [_array(stream, size) for size in sizes]
    try:
        return _restore(json.loads(body.tobytes()), large)
    except (LookupError, TypeError, AttributeError, RecursionError):
        raise ValueError("No message.") from None


def exactly(stream: IO[bytes], size: int) -> bytes:
    """Read so many bytes; raises EOFError."""
    part = stream.read(size)
    if len(part) != size:
        raise EOFError
    return part


def _array(stream: Any, size: int) -> np.ndarray:
    """Read what comes next as uint8 [size]."""
    part = np.empty(size, np.uint8)
    if stream.readinto(part.data) != size:
        raise EOFError
    return part


def _plain(value: Any, large: list[Any]) -> Any:
    """Turn a value into JSON; what is large is put aside, and its number stands in its place."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, bytes | np.ndarray):
        shape = list(value.shape) if isinstance(value, np.ndarray) else None
        large.append(np.ascontiguousarray(value, np.uint8) if shape else value)
        return {"is": "large", "number": len(large) - 1, "shape": shape}
    if isinstance(value, tuple | list):
        return {"is": type(value).__name__, "of": [_plain(one, large) for one in value]}
    origin = {"module": type(value).__module__, "name": type(value).__qualname__}
    if isinstance(value, Exception):
        return {"is": "error", "sentence": str(value), **origin}
    if is_dataclass(value):
        content = {one.name: _plain(getattr(value, one.name), large) for one in fields(value)}
        return {"is": "data", "of": content, **origin}
    raise TypeError(f"A sandbox sends no {type(value).__name__}.")


def _restore(value: Any, large: list[np.ndarray]) -> Any:
    """The value of what `_plain` gives."""
    if not isinstance(value, dict):
        return value
    if value["is"] == "large":
        part, shape = large[value["number"]], value["shape"]
        return part.tobytes() if shape is None else part.reshape([int(side) for side in shape])
    if value["is"] in ("tuple", "list"):
        several = [_restore(one, large) for one in value["of"]]
        return tuple(several) if value["is"] == "tuple" else several
    own_class = _own_class(value["module"], value["name"])
    if value["is"] == "error" and issubclass(own_class, Exception):
        return own_class(str(value["sentence"]))
    if value["is"] == "data" and is_dataclass(own_class):
        return own_class(**{name: _restore(one, large) for name, one in value["of"].items()})
    raise ValueError("No message.")


def _own_class(module: str, name: str) -> type:
    """A class of this project that has been imported; raises ValueError of anything else."""
    own_class = getattr(sys.modules.get(module), name, None)
    ours = module.partition(".")[0] == "causalclip" and "." not in name
    if not ours or not isinstance(own_class, type) or own_class.__module__ != module:
        raise ValueError("No message.")
    return own_class
