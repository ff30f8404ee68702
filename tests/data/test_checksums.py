"""Every shipped data file is described in data/README.md and is the one described."""

import hashlib
import json
import re
from pathlib import Path

DATA = Path(__file__).parents[2] / "data"


def test_every_file_stands_in_the_table_with_its_checksum():
    table = dict(
        re.findall(
            r"^\| `(\S+)` \|.*`([0-9a-f]{64})`",
            (DATA / "README.md").read_text(encoding="utf-8"),
            flags=re.MULTILINE,
        )
    )
    found = {
        path.relative_to(DATA).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in DATA.rglob("*")
        if path.is_file()
        and path != DATA / "README.md"
        and path.parent != DATA / "references"
    }
    assert table == found


def test_every_stored_reference_is_named_by_a_pin_with_its_checksum():
    folder = DATA / "references"
    named = {}
    for path in folder.glob("*.json"):
        pin = json.loads(path.read_text(encoding="utf-8"))
        assert pin["name"] == path.stem
        for entry in pin["references"].values():
            named[entry["file"]] = entry["sha256"]
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob("*.h5")
    }
    assert named == found


def test_the_stored_references_take_less_than_60_megabytes():
    files = (DATA / "references").glob("*")
    assert sum(path.stat().st_size for path in files) < 60e6
