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
MOST_TOGETHER = 8
"""So many slow sources tick together beside a quick one; more of them only if they would not fit otherwise."""
_SHARE = 0.8
"""The groups lie within this share of the shortest period of the slow ones."""


def offsets(sources: Iterable[SourceConfig]) -> dict[str, float]:
    """Return the seconds by which the ticks of each source with a period are moved, by its id.

    An ``offset_s`` that is set is kept. Neighbours in the config tick in different groups: often several cameras are.
    """
    periodic = [source for source in sources if source.period_s is not None and not source.disabled]
    found = {source.id: source.offset_s for source in periodic}
    quickest = min((_period(source) for source in periodic), default=math.inf)
    slow = [each for each in periodic if _period(each) > QUICK_S and "offset_s" not in each.model_fields_set]
    if quickest > QUICK_S or len(slow) <= MOST_TOGETHER:
        return found
    fitting = int(_SHARE * min(map(_period, slow)) / quickest)
    groups = max(1, min(math.ceil(len(slow) / MOST_TOGETHER), fitting))
    found |= {source.id: group * quickest for source, group in zip(slow, itertools.cycle(range(groups)), strict=False)}
    return found


def _period(source: SourceConfig) -> float:
    return math.inf if source.period_s is None else source.period_s
