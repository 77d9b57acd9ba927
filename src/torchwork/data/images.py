"""Images in class folders, or named by an annotations file."""

from __future__ import annotations

from torchwork.data import decode, kinds
from torchwork.data.files import ImageFiles
from torchwork.data.folders import Sort, labelled
from torchwork.types import Schema

IMAGES = Sort(decode.is_image, "image", "images", "not-an-image", ".jpg")


class ImageFolder(ImageFiles):
    """Images in class folders; or in train, val and test with class folders below; or in a root for each split.

    The class of an image is the folder at the top; images may lie deeper inside it. ``valid`` and ``validation`` stand
    for val. Files that begin with a dot and those that systems leave (Thumbs.db, desktop.ini) are passed over, and what
    a pattern of ``ignore`` matches. An image that cannot be read is a fault of its sample (see ``data.clean``), and so
    is any other file below a class folder.

    Args:
        root: The folder, or ``{train: folder, val: folder, test: folder}``.
        mode: RGB (three channels), L (grey) or RGBA (four), whatever the files are.
        ignore: Patterns of files to pass over, as ``*.txt`` or ``notes/*``.
        reduced: Let JPEGs be decoded at half their size or less where Resize to [h, w] is first: faster, other pixels.
        background: What shows through where an image is transparent: white, as pages are that such images are made
            for; black; or [r, g, b] from 0 to 255. Predictions take the same.

    Raises:
        InputError: a missing path, an empty folder, one class only, images or other files beside the class folders.
    """

    def __init__(
        self,
        root: str | dict[str, str],
        mode: decode.Mode = "RGB",
        ignore: list[str] | None = None,
        reduced: bool = False,
        background: decode.Background = "white",
    ) -> None:
        found = labelled(root, IMAGES, ignore or [])
        super().__init__(
            found.paths,
            found.names,
            found.targets,
            Schema("image", "class"),
            found.given,
            mode,
            reduced,
            found.annotations,
            background,
            found.faults,
        )


class ImageCSV(ImageFiles):
    """Images named by a CSV file with their target, and a folder that the names start from.

    An image that is missing or cannot be read is a fault of its sample (see ``data.clean``).

    Args:
        annotations: The CSV file: one row an image.
        root: The folder of the images; by default that of the CSV file.
        file_column: The column with the file names; by default the first.
        target_column: The column with the target; by default the second.
        split_column: A column that says train, val or test, where there is one.
        kind: Whether the target is a class or a number; guessed where left out: floats are numbers, all else classes.
        mode: RGB (three channels), L (grey) or RGBA (four), whatever the files are.
        reduced: Let JPEGs be decoded at half their size or less where Resize to [h, w] is first: faster, other pixels.
        header: Whether the first line names the columns; where not, they are named 0, 1 and so on.
        background: What shows through where an image is transparent: white, as pages are that such images are made
            for; black; or [r, g, b] from 0 to 255. Predictions take the same.

    Raises:
        InputError: a missing file, folder or column, empty cells, one class only.
    """

    def __init__(
        self,
        annotations: str,
        root: str | None = None,
        file_column: str | None = None,
        target_column: str | None = None,
        split_column: str | None = None,
        kind: kinds.Kind | None = None,
        mode: decode.Mode = "RGB",
        reduced: bool = False,
        header: bool = True,
        background: decode.Background = "white",
    ) -> None:
        from torchwork.data.annotated import read_annotations  # pandas, which folders go without

        found = read_annotations(annotations, root, file_column, target_column, split_column, kind, header, sort=IMAGES)
        super().__init__(
            found.paths,
            found.names,
            found.targets,
            Schema("image", found.kind, target_names=found.target_names),
            found.given,
            mode,
            reduced,
            found.annotations,
            background,
        )
