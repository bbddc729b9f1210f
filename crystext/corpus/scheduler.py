"""Mix sources in a ratio of tokens: the next document is of the source with the largest deficit.

After T tokens, a source of weight w should have had w T of them; what it lacks is its deficit. The
deficits add up to 0. Arithmetic is in whole numbers, so a mixture is the same on every machine.

What can be promised. Let n sources be mixed, and let every document, or part of one, of source i
have at most g / (1 - w_i) tokens. The source with the largest deficit lacks at least 0 before its
document, so at least -g after it: no deficit is below -g. From above, the k largest deficits never
add up to more than k g (1/k + ... + 1/(n-1)): a document of another source adds at most g to them,
and the chosen source, whose deficit was at least their mean, drew the sum of the k + 1 largest up
to then (induction from k = n, whose sum is 0). So all deficits lie between -g and g H(n-1), H(m) =
1 + 1/2 + ... + 1/m, also in the middle of a document. The number of tokens of a source in any
window differs from its weight by the change of its deficit, at most g (1 + H(n-1)).

So `max_part_tokens` follows from the tolerance: with three sources, windows of a million tokens and
1%, g is 4,000. A paper of a source with 94% of the tokens is divided above 71,000 tokens, a CIF of
a source with 2.5% above 4,100.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_SCALE = 10**9


@dataclass
class DeficitScheduler:
    """The state of a mixture with one set of weights."""

    weights: Mapping[int, float]
    """Of each source that takes part; they need not add up to 1."""
    window_tokens: int
    tolerance: float
    emitted: dict[int, int] = field(default_factory=dict)
    """Tokens of each source so far."""

    def __post_init__(self) -> None:
        """Convert the weights to whole numbers."""
        total = sum(self.weights.values())
        self._units = {i: max(1, round(w / total * _SCALE)) for i, w in self.weights.items()}
        self._total_units = sum(self._units.values())
        self.emitted = dict.fromkeys(self._units, 0)
        self.tokens = 0
        harmonic = sum(1 / k for k in range(1, len(self._units)))
        self._max_overshoot = self.tolerance * self.window_tokens / (1 + harmonic)
        self._lowest, self._highest = (dict.fromkeys(self._units, 0) for _ in range(2))

    def proportion(self, source: int) -> float:
        """Return the weight of a source, as a proportion."""
        return self._units[source] / self._total_units

    def max_part_tokens(self, source: int) -> int | None:
        """Return the length above which documents of a source are divided; None if they are not."""
        others = 1 - self.proportion(source)
        return max(1, int(self._max_overshoot / others)) if others > 0 else None

    def next_source(self) -> int:
        """Return the source with the largest deficit; of equal ones, the first."""
        units, emitted, tokens, total = self._units, self.emitted, self.tokens, self._total_units
        return max(units, key=lambda i: units[i] * tokens - total * emitted[i])

    def add(self, source: int, tokens: int) -> None:
        """Count a document, or a part of one."""
        self.emitted[source] += tokens
        self.tokens += tokens
        for i, units in self._units.items():
            deficit = units * self.tokens - self._total_units * self.emitted[i]
            self._lowest[i] = min(self._lowest[i], deficit)
            self._highest[i] = max(self._highest[i], deficit)

    def largest_deviation(self) -> float:
        """Return a bound on the deviation of any source's proportion in any window so far.

        It is the largest change of a deficit, as a fraction of the window.
        """
        spread = max(self._highest[i] - self._lowest[i] for i in self._units)
        return spread / self._total_units / self.window_tokens
