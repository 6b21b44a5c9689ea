"""Thumbnails are looked for on this host, wherever links lead, and a network is never asked."""

import os
import pwd
from pathlib import Path

import pytest

from deleatur_plugins.file import thumbnails

PICTURE = "c6ee772d9e49320e97ec29a7eb5b1697.png"  # the example of the standard
PHOTO = "/".join(("", "home", "jens", "photos", "me.png"))
WITHIN = (".cache", "thumbnails", "large")


class Host:
    """A folder that plays a network, one that plays this host, and whoever is asked about."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.here, self.network = folder / "here", folder / "network"
        self.here.mkdir()
        self.touched: list[str] = []
        mounts = {"/": "ext4", str(self.network): "nfs4"}
        person = pwd.struct_passwd(("anna", "x", 4711, 4711, "", str(self.here / "anna"), "/bin/sh"))
        monkeypatch.setattr("pwd.getpwall", lambda: [person])
        monkeypatch.setattr(thumbnails, "mount_points", lambda: mounts)
        for name in ("listdir", "readlink"):
            monkeypatch.setattr(os, name, self._watched(getattr(os, name)))

    def _watched(self, call):  # type: ignore[no-untyped-def]
        def asked(path):  # type: ignore[no-untyped-def]
            self.touched.append(os.path.normpath(path))
            return call(path)

        return asked

    def cache(self, home: Path, *within: str) -> Path:
        """Make a cache with one picture."""
        folder = home.joinpath(*within)
        folder.mkdir(parents=True)
        (folder / PICTURE).touch()
        return folder

    def found(self) -> bool:
        """Say whether the picture of the photo was found; nothing of the network may have been asked."""
        known = thumbnails.Thumbnails()
        known.look(PHOTO)
        assert self.touched
        assert [path for path in self.touched if Path(path).is_relative_to(self.network)] == []
        return bool(known.found)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_a_cache_of_this_host_is_found(host: Host) -> None:
    host.cache(host.here / "anna", *WITHIN)
    assert host.found()


@pytest.mark.parametrize("absolute", [True, False])
def test_a_cache_behind_a_link_on_this_host_is_found(host: Host, absolute: bool) -> None:
    host.cache(host.here / "disk" / "anna", *WITHIN)
    to = host.here / "disk" / "anna" if absolute else Path("disk/../disk/anna")
    (host.here / "anna").symlink_to(to)
    assert host.found()


@pytest.mark.parametrize("link", range(len(WITHIN) + 1))
def test_what_a_link_leads_to_on_a_network_is_never_asked_for(host: Host, link: int) -> None:
    """The home itself, `.cache`, `thumbnails` or `large` leads there."""
    host.cache(host.network, *WITHIN[link:])
    place = (host.here / "anna").joinpath(*WITHIN[:link])
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(host.network)
    assert not host.found()


def test_links_in_a_circle_end(host: Host) -> None:
    (host.here / "anna").symlink_to(host.here / "other")
    (host.here / "other").symlink_to(host.here / "anna")
    assert not host.found()
