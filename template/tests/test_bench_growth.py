"""What `make bench-growth` makes keeps the data's contract; what it has measured is kept, and not measured again."""

from pathlib import Path

import pandas as pd
import psutil
import pytest

from flightline.adapters.raw_files import RawFiles
from flightline.data.contract import check_dataset
from flightline.problem.raw_tables import CONTRACTS
from flightline.problem.source import write_seed
from template.benchmarks import bench_growth
from template.benchmarks.bench_growth import Measured, exponent, run_case, run_command, table
from template.benchmarks.parts import grown_flights
from template.benchmarks.parts.grown_flights import Growth, growth_of, write_grown

CASE = ("keys", 4, "duckdb", 400)


@pytest.fixture
def march(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder for grown data; the seed has one month, in which the clock skips an hour."""

    def of_one_month(target: Path) -> None:
        write_seed(target)
        for file in target.glob("*/*.csv"):
            if file.stem != "2013-03":
                file.unlink()

    monkeypatch.setattr(grown_flights, "write_seed", of_one_month)
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def test_grown_flights_keep_the_contract(march):
    rows = write_grown(Growth(fleets=3, years=2), march)
    counted = check_dataset(RawFiles(march), CONTRACTS)
    first, second = (pd.read_csv(march / "flights" / f"{year}-03.csv", dtype=str) for year in (2013, 2014))
    assert counted["flights"] == rows == len(first) + len(second)
    assert len(first) == 3 * 28834
    assert counted["airlines"] == 3 * 16
    assert first["carrier"].nunique() == 3 * 15  # one of them did not fly in March
    assert len(first) - len(second) < 10, "an hour that the clock skips"


def test_once_the_flights_are_those_that_are_shipped(march, tmp_path):
    write_grown(Growth(fleets=1, years=1), march)
    (tmp_path / "seed").mkdir()
    grown_flights.write_seed(tmp_path / "seed")
    for name in ("flights/2013-03.csv", "weather/2013-03.csv", "planes.csv", "airlines.csv", "airports.csv"):
        grown, shipped = (pd.read_csv(folder / name, dtype=str) for folder in (march, tmp_path / "seed"))
        pd.testing.assert_frame_equal(grown, shipped)


@pytest.mark.parametrize(("way", "size"), [("keys", 27), ("history", 18), ("keys", 0)])
def test_a_size_that_cannot_be_is_refused(way, size):
    with pytest.raises(SystemExit, match=f"SIZES has {size}: by {way} the flights grow 1 to "):
        growth_of(way, size)


def script(*lines: str) -> list[str]:
    return ["-c", "\n".join(lines)]


def test_each_stage_is_measured_by_the_line_that_closes_it(tmp_path):
    lines = (
        "pull            data/ is at version 1 (0.5 s)",
        "                raw tables read and put in UTC, 1.0 s",
        "                leak test passed, 3.0 s",
        "                a_table 12 rows, 3.5 s",
        "features        13 tables (4.0 s)",
        "training set    400 rows x 3 features (2.0 s)",
        "Next: make serve",
    )
    work = "import pathlib, time; x = bytearray(60_000_000); end = time.process_time() + 0.3"
    prints = [f"print({line!r}, flush=True)" for line in lines]
    prints.insert(1, f"while not pathlib.Path({str(tmp_path / 'sampled')!r}).exists(): pass")
    flow = run_command("fit", script(work, "while time.process_time() < end: pass", *prints), {}, CASE, 0)
    found = [next(flow)]
    (tmp_path / "sampled").touch()
    found += flow
    assert [each.stage for each in found[:-1]] == [
        "fit: start, pull", "fit: raw tables", "fit: leak test", "fit: feature tables", "fit: training set",
    ]  # fmt: skip
    assert found[-1].stage == "fit: end"
    assert sum(each.processor_seconds for each in found) >= 0.3
    assert found[0].peak_bytes > 60_000_000
    assert {each.rows for each in found} == {400}


def test_a_training_that_fails_shows_what_it_said():
    with pytest.raises(SystemExit, match=r"keys 4: fit ended with 1\nno flights"):
        list(run_command("fit", script("raise SystemExit('no flights')"), {}, CASE, 1))


def test_processes_that_take_too_much_together_are_ended():
    work = "import signal; x = b'1' * 150_000_000; signal.alarm(60); signal.pause()"
    both = f"import subprocess, sys; x = b'1' * 150_000_000; subprocess.run([sys.executable, '-c', {work!r}])"
    with pytest.raises(SystemExit, match=r"keys 4: fit ended with -9, its processes held 0\.[23]"):
        list(run_command("fit", script(both), {}, CASE, 0.25))


def test_a_whole_case_is_the_sum_of_its_commands(monkeypatch, tmp_path):
    monkeypatch.setattr(bench_growth, "KEPT", tmp_path)
    monkeypatch.setattr(bench_growth, "make_grown", lambda way, size, folder: (tmp_path, 400))
    say = "print('{}            x (0.5 s)', flush=True)"
    monkeypatch.setattr(
        bench_growth, "commands_of", lambda way, size: {n: script(say.format(n)) for n in ("fit", "use")}
    )
    *stages, whole = bench_growth.measure("keys", 4, "duckdb", 0)
    assert [each.stage for each in stages] == ["fit: start, fit", "fit: end", "use: start, use", "use: end"]
    assert (whole.stage, whole.rows) == ("all", 400)
    assert whole.processor_seconds == pytest.approx(sum(each.processor_seconds for each in stages))


def test_what_is_scored_and_logged_grows_with_the_flights():
    spans = {way: bench_growth.commands_of(way, 4)["batch"][3:6:2] for way in ("keys", "history")}
    assert spans["keys"] == ["2013-12-24T12:00:00+00:00", "2013-12-31T12:00:00+00:00"]
    assert spans["history"] == ["2016-12-03T12:00:00+00:00", "2016-12-31T12:00:00+00:00"]
    assert bench_growth.commands_of("keys", 4)["predictions"][-1] == "8000"


def test_what_was_started_ends_with_the_measurement():
    flow = run_command("fit", script("print('pull            x (0.5 s)', flush=True); input()"), {}, CASE, 0)
    next(flow)
    (child,) = psutil.Process().children()
    flow.close()
    assert not child.is_running()


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """Which sizes were measured; the third stage of the first is interrupted."""
    sizes: list[int] = []

    def stages(way: str, size: int, engine: str, limit: float):
        sizes.append(size)
        for stage in ("fit", "evaluate", "all"):
            if stage == "all" and len(sizes) == 1:
                raise KeyboardInterrupt
            yield Measured(way, size, engine, stage, 100 * size, 0.0, 3.0 * size, 2**30, 1.0)

    monkeypatch.setattr(bench_growth, "measure", stages)
    monkeypatch.setattr(bench_growth, "KEPT", tmp_path)
    monkeypatch.setattr(bench_growth, "ROOT", tmp_path)
    return sizes


def test_what_is_whole_is_not_measured_again(measured, capsys):
    with pytest.raises(KeyboardInterrupt):
        run_case("keys", 4, "duckdb", 8)
    kept = bench_growth.kept_in("keys", 4, "duckdb")
    assert [each.stage for each in bench_growth.read(kept)] == ["fit", "evaluate"]
    for size in (1, 4, 4):
        run_case("keys", size, "duckdb", 8)
    assert measured == [4, 1, 4]
    assert "keys 4: measured before" in capsys.readouterr().out
    assert [each.stage for each in bench_growth.read(kept)] == ["fit", "evaluate", "all"]


def test_the_table_has_a_column_for_each_size_and_the_exponent():
    found = [Measured("keys", size, "duckdb", "fit", 100 * size, 1.0, 3.0 * size**1.5, 2**30, 1.0) for size in (1, 4)]
    assert exponent(found) == "1.50"
    assert exponent(found[:1]) == ""
    assert table(found).splitlines()[0] == "| stage | 1 times: 100 rows | 4 times: 400 rows | exponent |"
    assert table(found).splitlines()[2] == "| fit | 3.0 s (1), 1.00 GiB | 24.0 s (1), 1.00 GiB | 1.50 |"
