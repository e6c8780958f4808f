"""Which files of this machine a dataset may name: those of its own folder."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from vcviz.base.errors import InputError, clip


class Places:
    """The folders that documents of a dataset may lie in.

    A dataset comes from others, and a row of it could name any file of this machine.

    Parameters
    ----------
    folder : of a local source, where relative paths start; None for one of the Hub, whose files
        lie in the cache
    """

    def __init__(self, folder: Path | None) -> None:
        caches: list[str | Path] = []
        if "datasets" in sys.modules:
            import datasets
            from huggingface_hub import constants

            config = datasets.config
            # What is unpacked from an archive lies in the cache too.
            caches = [config.EXTRACTED_DATASETS_PATH]
            if folder is None:
                caches = [
                    config.HF_DATASETS_CACHE,
                    config.DOWNLOADED_DATASETS_PATH,
                    constants.HF_HUB_CACHE,
                    *caches,
                ]
        self.start = Path(folder or caches[0]).resolve()
        self._roots = [self.start, *(Path(cache).resolve() for cache in caches)]
        self._known: dict[Path, Path] = {}

    def locate(self, name: object) -> str:
        """Return the path of a file that a row names.

        Raises
        ------
        InputError
            If it lies elsewhere, by its name or through a link.
        """
        if not isinstance(name, str) or not name or "\0" in name:
            raise InputError(f"{clip(name)} is no file's name")
        if re.match(r"\w+://", name):
            raise InputError(
                f"{clip(name, 200)} is an address, or in an archive; unpack or download it first"
            )
        path = self.start / name
        try:
            # Many files lie in few folders: those are looked up once.
            if path.name == ".." or path.is_symlink():
                real = path.resolve()
            else:
                if path.parent not in self._known:
                    self._known[path.parent] = path.parent.resolve()
                real = self._known[path.parent] / path.name
        except (OSError, RuntimeError) as error:
            raise InputError(f"{clip(name)} cannot be a path: {clip(str(error))}") from None
        if not any(real.is_relative_to(root) for root in self._roots):
            raise InputError(
                f"the file {clip(name, 200)} lies outside of {self.start}; only files within the "
                "folder of a dataset are read, so copy it there"
            )
        return str(path)
