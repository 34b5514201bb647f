"""The page of the result folder names every file that a sweep leaves."""

from pathlib import Path

from docs.reference import FOLDER
from simulator.common.result_files import KINDS
from simulator.storage.layout import ResultFolder


def text_of(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def test_every_file_of_a_result_folder_is_described() -> None:
    folder = ResultFolder(path=Path("folder"))
    paths = [getattr(folder, name) for name, kind in vars(ResultFolder).items() if isinstance(kind, property)]
    files = [path.relative_to("folder").as_posix() for path in paths if isinstance(path, Path)]
    files += [*(f"{kind}.parquet" for kind in KINDS), "claims.json"]
    assert len(files) > 20
    told = text_of("result_folder.md")
    assert [name for name in files if f"`{name}`" not in told and f"`{name}/`" not in told] == []
