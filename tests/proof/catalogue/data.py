"""Faults in the files of the data."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.proof.execution.copies import ProofError
from tests.proof.fault import INGEST, RENAME, TRAIN, Fault, do_nothing


def corrupt_object(copy: Path) -> Sequence[str]:
    """Flip one bit of the largest data file in the DVC remote, where the copy has no data/ and no cache."""
    for left in ("data", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(copy / left, ignore_errors=True)
    objects = [path for path in (copy / ".dvcstore").rglob("*") if path.is_file() and path.suffix != ".dir"]
    largest = max(objects, key=lambda path: (path.stat().st_size, path.name))
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.chmod(0o644)
    largest.write_bytes(content)
    return (f"expected md5 {largest.parent.name}{largest.name}",)


def deliver_twice(copy: Path) -> Sequence[str]:
    """Put the last month but one of the largest table into the folder to be ingested, its rows twice."""
    data = copy / "data"
    months = [folder for folder in data.iterdir() if folder.is_dir() and len(list(folder.glob("*.csv"))) > 1]
    sizes = {folder: sum(file.stat().st_size for file in folder.iterdir()) for folder in months}
    if sizes:
        sent = sorted(max(sizes, key=lambda folder: sizes[folder]).glob("*.csv"))[-2]
    else:
        sent = max(data.glob("*.csv"), key=lambda file: file.stat().st_size, default=data)
    if not sent.is_file():
        raise ProofError(f"{data} holds no CSV file to deliver twice")
    target = copy / "incoming" / sent.relative_to(data)
    header, rows = sent.read_text(encoding="utf-8").split("\n", 1)
    target.parent.mkdir(parents=True)
    target.write_text(f"{header}\n{rows}{rows}", encoding="utf-8", newline="")
    return (f"is unique in {sent.relative_to(data).parts[0].removesuffix('.csv')}",)


DATA_FAULTS = (
    Fault(
        "month_delivered_twice",
        "A month's file is sent again with its rows appended to the old ones.",
        safeguard="contract",
        commands=(INGEST,),
        plant=deliver_twice,
    ),
    Fault(
        "corrupt_object",
        "A disk flips one bit of one file in the DVC remote.",
        safeguard="version",
        commands=(TRAIN,),
        plant=corrupt_object,
    ),
    Fault(
        "flood_of_unseen_categories",
        "Months are delivered with categories under names that no earlier month knows.",
        safeguard="categories",
        commands=(RENAME, INGEST, TRAIN),
        plant=do_nothing,
    ),
)
