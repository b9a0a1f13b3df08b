"""Decides which sources tick together; pure.

All sources with equal or multiple periods do. But then a quick source would wait for the answers of all slow ones, and
miss ticks: at 100 Hz it has 10 ms, in which a robot answers some ten polls. So beside a quick source the slow ones are
spread over its ticks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

from module.attributes.source import SourceConfig

QUICK_S = 0.04
"""A source with a period of at most this is quick: 25 Hz and more."""
_SHARE = 0.8
"""The groups lie within this share of the shortest period of the slow ones."""


def offsets(sources: Iterable[SourceConfig]) -> dict[str, float]:
    """Return the seconds by which the ticks of each source with a period are moved, by its id.

    An ``offset_s`` that is set is kept. Neighbours in the config are often cameras, which may keep a machine busy for
    longer than the period of the quick source. So they tick two groups apart.
    """
    periodic = [source for source in sources if source.period_s is not None and not source.disabled]
    found = {source.id: source.offset_s for source in periodic}
    quickest = min((_period(source) for source in periodic), default=math.inf)
    slow = [each for each in periodic if _period(each) > QUICK_S and "offset_s" not in each.model_fields_set]
    if quickest > QUICK_S or not slow:
        return found
    groups = max(1, int(_SHARE * min(map(_period, slow)) / quickest))
    # Lazily: beside a daily source there may be millions of groups.
    turns = itertools.cycle(itertools.chain(range(0, groups, 2), range(1, groups, 2)))
    return found | {source.id: group * quickest for source, group in zip(slow, turns, strict=False)}


def _period(source: SourceConfig) -> float:
    return math.inf if source.period_s is None else source.period_s
