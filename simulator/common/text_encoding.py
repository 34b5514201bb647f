"""Text files that people write, in whatever editor: UTF-8, with a byte-order mark or without one."""

import codecs

MARK = codecs.BOM_UTF8
OTHER_MARKS = {  # the longer first: UTF-32's little-endian mark begins with that of UTF-16
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def without_mark(content: bytes) -> bytes:
    """The content of a file without the byte-order mark of UTF-8 that some editors begin it with.

    Raises ValueError, which says the rule, where it is not UTF-8.
    """
    for mark, encoding in OTHER_MARKS.items():
        if content.startswith(mark):
            raise ValueError(f"must be UTF-8 text, but is {encoding}; save it as UTF-8")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"must be UTF-8 text, but byte {error.start:,} is not ({error.reason})") from None
    return content.removeprefix(MARK)
