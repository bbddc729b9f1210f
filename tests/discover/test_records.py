"""The lines of a round."""

from __future__ import annotations

import json

from crystext.discover.records import parse_round


def test_a_round_reads_back_as_it_was_written(done_search):
    for done in done_search.history.rounds:
        read = parse_round(done.number, map(json.loads, done.lines().splitlines()))
        assert read == done
        assert read.lines() == done.lines()
