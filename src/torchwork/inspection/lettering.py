"""Labels in pictures that can be read whatever their script: a font that has the characters, else escapes."""

from __future__ import annotations

import sys
from functools import lru_cache
from itertools import groupby
from pathlib import Path

from matplotlib import font_manager, get_data_path
from matplotlib.ft2font import FT2Font
from PIL import ImageFont

# Of the system's fonts those are looked at first whose names hold one of these: they have many scripts; then upright
# ones of the usual weight.
_LIKELY = ("cjk", "noto", "unifont", "arialuni", "wqy", "pingfang", "msyh", "yugoth", "gothic", "droid")
_UNUSUAL = ("bold", "black", "thin", "light", "medium", "heavy", "italic", "oblique", "mono", "serif")

# Named, or matplotlib starts other programs to ask them for fonts; on Windows it reads the registry.
_FOLDERS = None if sys.platform == "win32" else [*font_manager.X11FontDirectories, *font_manager.OSXFontDirectories]

Run = tuple[str, ImageFont.FreeTypeFont]


def legible(text: str, size: int) -> list[Run]:
    """Return what to draw for a text, in runs of one font each.

    A character's font is DejaVu Sans where that has it, else the first of the system's that does. One that no font has,
    or that cannot be printed, becomes an escape, as ``\\u732b``.

    >>> [run for run, font in legible("cat", 12)], [run for run, font in legible("a\\nb", 12)]
    (['cat'], ['a\\\\nb'])
    """
    letters = [_drawn(letter) for letter in text]
    return [
        ("".join(shown for shown, _ in run), _sized(path, size)) for path, run in groupby(letters, lambda pair: pair[1])
    ]


def length(runs: list[Run]) -> float:
    """Return how many pixels wide runs are."""
    return sum(font.getlength(text) for text, font in runs)


def fitted(text: str, size: int, width: int) -> list[Run]:
    """Return ``legible`` of a text, shortened in its middle to so many pixels.

    >>> ((shown, font),) = fitted("a very long name of a class", 12, 80)
    >>> shown[0], "…" in shown, shown[-1], font.getlength(shown) <= 80
    ('a', True, 's', True)
    """
    whole = legible(text, size)
    if length(whole) <= width:
        return whole
    least, most = 0, len(text)
    while least < most:  # the most letters that leave room for the mark between them
        kept = (least + most + 1) // 2
        fits = length(legible(_shortened(text, kept), size)) <= width
        least, most = (kept, most) if fits else (least, kept - 1)
    return legible(_shortened(text, least), size)


def _shortened(text: str, kept: int) -> str:
    tail = kept // 2
    return f"{text[: kept - tail]}…{text[len(text) - tail :]}"


@lru_cache(maxsize=65536)
def _drawn(letter: str) -> tuple[str, Path]:
    """Return what stands for a character, and the file of the font to draw it with."""
    fonts = (_default(), *_fonts_of_the_system()) if ord(letter) > 0x7F else (_default(),)
    if letter.isprintable():
        path = next((path for path in fonts if ord(letter) in _characters(path)), None)
        if path is not None:
            return letter, path
    return letter.encode("unicode_escape").decode(), _default()


def _default() -> Path:
    return Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


@lru_cache(maxsize=1)
def _fonts_of_the_system() -> tuple[Path, ...]:
    def order(path: Path) -> tuple[bool, int, str]:
        name = path.name.lower()
        return not any(word in name for word in _LIKELY), sum(word in name for word in _UNUSUAL), str(path)

    return tuple(sorted(map(Path, font_manager.findSystemFonts(_FOLDERS)), key=order))


@lru_cache(maxsize=1024)
def _characters(path: Path) -> frozenset[int]:
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):  # no font after all
        return frozenset()


@lru_cache(maxsize=64)
def _sized(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), size)
