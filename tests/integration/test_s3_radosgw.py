"""Whole jobs on a bucket of Ceph's gateway: the jobs of test_s3_backend.py, and where its listing skips."""

from collections.abc import Callable, Iterator

import pytest

from deleatur_plugins.s3 import listing

from ..radosgw_server import RadosGateway, rados_gateway
from .test_s3_backend import (
    World,
    _delete_behind_the_cursor,
    make_world,  # noqa: F401 - a fixture
    test_a_bucket_that_keeps_versions_no_more_is_tried_in_one_like_it,  # noqa: F401
    test_a_bucket_without_versions_goes_too_and_the_certificate_says_what_that_means,  # noqa: F401
    test_a_version_that_came_after_the_plan_stops_the_job_and_nothing_goes,  # noqa: F401
    test_a_version_under_compliance_is_named_with_its_end_and_goes_by_a_second_job_after_it,  # noqa: F401
    test_deletions_that_are_dropped_with_a_good_answer_are_sent_again,  # noqa: F401
    test_every_version_goes_and_nothing_else_and_no_file_tells_what_it_was,  # noqa: F401
    test_governance_is_bypassed_for_exactly_what_an_approval_that_names_the_bucket_lists,  # noqa: F401
    test_odd_names_go_by_their_exact_name,  # noqa: F401
    test_what_is_locked_or_held_stays_counted_with_its_end_and_nothing_is_released,  # noqa: F401
)

pytestmark = pytest.mark.campaign


@pytest.fixture(scope="module")
def server() -> Iterator[RadosGateway]:
    with rados_gateway() as running:
        yield running


def test_a_listing_that_skips_behind_a_deleted_mark_leaves_nothing(
    make_world: Callable[..., World],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """List a page, delete it, list the next, as many tools do: this server then skips versions."""
    world = make_world()
    world.fill(keys=10)
    assert _delete_behind_the_cursor(world) > 0, "the server does not skip: the case is none any more"
    world.fill(keys=10)
    monkeypatch.setattr(listing, "PAGE", 4)
    bench, directory = world.planned()
    bench.run(directory)
    assert world.left() == []
