"""A process of its own that sends letters; it is there to be killed.

python notice_sender.py FOLDER URL CA
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.integration.notice_case import Days

from deleatur.engine.directory import JobDirectory
from deleatur.engine.notices.desk import Desk
from deleatur.engine.notices.sending import Server
from deleatur.engine.notices.telling import send_letters
from deleatur.engine.notices.uptime import uptime


def main(folder: Path, url: str, ca: str) -> None:
    """Send all letters of the job in FOLDER/job."""
    (folder / "pid").write_text(str(os.getpid()))
    bench = Days(folder)
    desk = Desk(JobDirectory(folder / "job"), bench.registry, bench.clock, uptime)
    send_letters(desk, bench.agent, Server(url, None, Path(ca)), 1000, lambda *_: None)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
