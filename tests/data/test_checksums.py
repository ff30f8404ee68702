"""Every shipped data file is described in data/README.md and is the one described."""

import hashlib
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
        if path.is_file() and path != DATA / "README.md"
    }
    assert table == found
