"""What the supervisor does about a worker that died: suspects are tried alone, only a lone culprit is left out."""

from __future__ import annotations

from triage.pipeline.job import HIVES, Job, LeftOut, Token
from triage.pipeline.restart import MOST_DEATHS, Restarts

JOB = Job(evidence=("/e",), case_folder="/c", rescue_to=None)
A, B = Token(0, 5), Token(0, 9)


def test_of_two_streams_under_way_none_is_condemned() -> None:
    restarts = Restarts(JOB)
    restarts.after_death([A, B], "x")
    assert restarts.job is not None
    assert (restarts.job.suspects, restarts.job.left_out, restarts.job.resumed) == ((A, B), (), True)


def test_a_suspect_on_which_the_worker_dies_alone_is_left_out() -> None:
    restarts = Restarts(JOB)
    restarts.after_death([A, B], "x")
    restarts.after_death([B], "y", hung=True)
    assert restarts.job is not None
    assert (restarts.job.suspects, restarts.job.left_out) == ((A,), (LeftOut(B, "y", hung=True),))


def test_a_lone_stream_is_given_a_second_chance_first() -> None:
    restarts = Restarts(JOB)
    restarts.after_death([A], "x")
    assert restarts.job is not None
    assert (restarts.job.suspects, restarts.job.left_out) == ((A,), ())


def test_hives_are_left_out_only_when_a_second_worker_dies_on_them() -> None:
    restarts = Restarts(JOB)
    restarts.after_death([Token(1, HIVES)], "x")
    assert restarts.job is not None
    assert (restarts.job.suspects, restarts.job.left_out) == ((Token(1, HIVES),), ())
    restarts.after_death([Token(1, HIVES)], "x")
    assert restarts.job is not None
    assert (restarts.job.suspects, restarts.job.left_out) == ((), (LeftOut(Token(1, HIVES), "x"),))


def test_it_ends() -> None:
    restarts = Restarts(JOB)
    deaths = 0
    while restarts.job is not None:
        restarts.after_death([Token(0, deaths), Token(0, deaths + 1)], "x")
        deaths += 1
    assert deaths == MOST_DEATHS
    restarts = Restarts(JOB)
    restarts.after_death([], "x")
    restarts.after_death([], "x")
    assert restarts.job is None
