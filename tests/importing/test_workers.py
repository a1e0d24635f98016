"""A worker of an import, as far as it can be seen without starting one."""

import multiprocessing
from typing import cast

import pytest

from api import logs
from api.imports import workers
from api.imports.share import FileChanged, Share
from ledger.processes import Parent


def test_a_worker_says_why_it_cannot_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that a user can mend is told to the parent in words."""

    def taking(share: Share) -> object:
        raise FileChanged("planted")

    monkeypatch.setattr(workers, "Taking", taking)
    monkeypatch.setattr(logs, "set_up", lambda: None)
    ours, theirs = multiprocessing.Pipe()
    workers._work(Parent(theirs), cast(Share, None))
    assert workers.Failed("planted") == ours.recv()
    ours.close()
    theirs.close()
