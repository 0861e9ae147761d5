"""What the engines that compute features may take of the machine, and where they run; a part of `settings.py`."""

from pathlib import Path

from pydantic import BaseModel, Field

_BYTES = r"^(\d+(\.\d+)? ?[KMGT]i?B)?$"


class DuckDBSettings(BaseModel, frozen=True):
    """How much DuckDB may take of the machine; beyond its memory it spills to disk."""

    memory_limit: str = Field(
        default="",
        pattern=_BYTES,
        description="Memory of each connection, such as 4GB; empty: DuckDB's own, 80 % of the machine's.",
    )
    spill_dir: Path | None = Field(
        default=None, description="Folder for what does not fit into memory; unset: .state/spill."
    )
    spill_limit: str = Field(
        default="",
        pattern=_BYTES,
        description="Disk for it, such as 100GB; empty: DuckDB's own, 90 % of what is free.",
    )

    def limits(self, spill_dir: Path) -> dict[str, str]:
        """Give DuckDB's own names and values of what is set.

        Parameters
        ----------
        spill_dir
            Where it spills to, if nothing else is set.

        Examples
        --------
        >>> DuckDBSettings(memory_limit="4GB").limits(Path("/tmp"))
        {'temp_directory': '/tmp', 'memory_limit': '4GB'}
        """
        limits = {
            "temp_directory": str(self.spill_dir or spill_dir),
            "memory_limit": self.memory_limit,
            "max_temp_directory_size": self.spill_limit,
        }
        return {name: value for name, value in limits.items() if value}


class SparkSettings(BaseModel, frozen=True):
    """Where Spark runs, if it is the engine (docs/scale.md)."""

    master: str = Field(
        default="local[*]",
        pattern=r"^(|local\[(\*|\d+)\]|yarn|(spark|k8s)://.+)$",
        description="The master, such as spark://host:7077; local[*]: this machine, with so many threads as `threads` "
        "says; empty: what spark-submit or the platform names.",
    )
    options: dict[str, str] = Field(
        default={}, description='Options of the session, as JSON: {"spark.driver.memory": "4g"}.'
    )


class DaskSettings(BaseModel, frozen=True):
    """The cluster that the fits of `make tune` go to (docs/scale.md)."""

    address: str = Field(
        default="",
        pattern=r"^(|(tcp|tls|ws|wss)://.+)$",
        description="Its scheduler, such as tcp://host:8786; empty: processes of this machine, as many as `threads`.",
    )
