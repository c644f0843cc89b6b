"""Which versions of RQ are observed, acted on and refused (spec P7)."""

import pytest

from levqor.domain.errors import GuardRefused
from levqor.engines.rq_version import Support, standing_of, support_of


@pytest.mark.parametrize(
    ("version", "support"),
    [
        pytest.param("1.15.1", Support.REFUSED, id="just-too-old"),
        pytest.param("0.13.0", Support.REFUSED, id="far-too-old"),
        pytest.param("1.16", Support.OBSERVED, id="oldest-observed"),
        pytest.param("1.16.2", Support.OBSERVED, id="1.16.2"),
        pytest.param("2.0.0", Support.OBSERVED, id="2.0"),
        pytest.param("2.11.9", Support.OBSERVED, id="newest-only-observed"),
        pytest.param("2.12", Support.ACTED, id="oldest-acted-on"),
        pytest.param("2.12.0rc1", Support.ACTED, id="a-release-candidate"),
        pytest.param("2.100.0", Support.ACTED, id="numbers-not-letters"),
        pytest.param("3.99.99", Support.ACTED, id="newest-acted-on"),
        pytest.param("4", Support.REFUSED, id="next-major"),
        pytest.param("4.0.0a1", Support.REFUSED, id="next-majors-alpha"),
        pytest.param("10.0", Support.REFUSED, id="two-digits"),
        pytest.param(None, Support.UNKNOWN, id="none"),
        pytest.param("", Support.UNKNOWN, id="empty"),
        pytest.param("next", Support.UNKNOWN, id="no-number"),
        pytest.param("9" * 20_000, Support.REFUSED, id="endless"),
    ],
)
def test_what_may_be_done_beside_a_version(version: str | None, support: Support) -> None:
    assert support_of(version) is support


def test_the_strictest_of_all_workers_decides() -> None:
    mixed = standing_of([("3.0.0", "3.13.1 (main)"), ("1.16.2", "3.8.20"), ("4.1", None)])
    assert (mixed.support, mixed.rq_versions, mixed.python_versions) == (
        Support.REFUSED,
        ("1.16.2", "3.0.0", "4.1"),
        ("3.13.1", "3.8.20"),
    )
    assert mixed.sentence == (
        "workers run RQ 4.1, which this Levqor does not know: it reads RQ 1.16 to 3.x; upgrade Levqor, or run those workers with RQ 3.x"
    )
    for check in (mixed.check_readable, mixed.check_act):
        with pytest.raises(GuardRefused, match=r"RQ 4\.1"):
            check()


def test_too_old_a_version_is_refused_with_what_to_do() -> None:
    with pytest.raises(GuardRefused, match=r"workers run RQ 1\.15\.1, .*; upgrade those workers to RQ 2\.12 or later"):
        standing_of([("1.15.1", None)]).check_readable()


def test_an_observed_version_is_read_and_not_acted_on() -> None:
    old = standing_of([("3.0.0", None), ("2.11.0", None)])
    old.check_readable()
    for unseen in (False, True):
        assert not old.allows_act(unseen=unseen)
    with pytest.raises(GuardRefused, match=r"workers run RQ 2\.11\.0, which Levqor only observes: upgrade them"):
        old.check_act()


@pytest.mark.parametrize(
    ("workers", "sentence"),
    [
        pytest.param([], "no RQ worker is listed", id="nobody"),
        pytest.param([(None, None)], "does not tell its version", id="silent"),
        pytest.param([("3.0.0", None), (None, None)], "does not tell its version", id="one-of-two"),
    ],
)
def test_an_unknown_version_is_observed_only(workers: list[tuple[str | None, str | None]], sentence: str) -> None:
    """S3: unknown is not the version that one hopes for; only where the workers are Levqor's own it is known without them."""
    unknown = standing_of(workers)
    unknown.check_readable()
    assert (unknown.support, unknown.allows_act(unseen=True)) == (Support.UNKNOWN, True)
    with pytest.raises(GuardRefused, match=sentence):
        unknown.check_act()


def test_all_new_enough_has_nothing_to_say() -> None:
    fine = standing_of([("2.12.0", "3.11.7"), ("3.0.0", "3.13.0")])
    fine.check_act()
    assert (fine.support, fine.sentence) == (Support.ACTED, "")


def test_what_a_worker_wrote_is_shown_as_far_as_it_is_a_version() -> None:
    """X2: the fields come from somebody's broker."""
    assert standing_of([("4\x1b[31m" + "x" * 500, None)]).rq_versions == ("4" + "31m" + "x" * 16,)
