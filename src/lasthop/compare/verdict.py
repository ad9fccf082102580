"""The verdict on a comparison: what is better, by how much, how sure, and what is missing. `judge(results)`.

It puts together what the others know: `soundness` which cells count, `pairs` what is set against what, `wording` the words. The same results
give the same verdict, to the letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lasthop.compare.figures import Figures, figures
from lasthop.compare.pairs import FACTORS, Answer, Comparison, compare, pairs
from lasthop.compare.results import Cell, Results
from lasthop.compare.soundness import broken, warnings
from lasthop.compare.wording import (
    Circumstances,
    burst_words,
    capital,
    first_line,
    hop_share,
    hop_words,
    level_name,
    noise_words,
    told,
)


@dataclass(frozen=True)
class Verdict:
    """All that can be said of a comparison's results."""

    headline: str
    """The answer in a few words."""
    sentences: list[str]
    """The first one begins with the answer; then by how much, question by question."""
    comparisons: list[Comparison]
    noise: Comparison | None
    """The twins, or what they differ by."""
    bursts: list[str]
    warnings: list[str]
    """What makes the figures mean less than they seem to."""
    missing: list[str]
    """What was to be measured and was not, or cannot be judged, and why."""
    complete: bool
    """Whether all that was to be measured was, and is judged."""
    figures: Mapping[str, Figures] = field(default_factory=dict)
    """Of each cell that was measured at all."""
    hop_shares: Mapping[str, float] = field(default_factory=dict)
    """By the first cell of each link comparison: the share of a request's cost that lies outside the application, at most."""

    @property
    def hop_share(self) -> float | None:
        """Of the first link comparison."""
        return next(iter(self.hop_shares.values()), None)

    @property
    def summary(self) -> str:
        """The first sentence without the answer before it."""
        first = self.sentences[0] if self.sentences else ""
        return capital(first.removeprefix(f"{self.headline}: "))


def judge(results: Results) -> Verdict:
    """The verdict."""
    bad = broken(results)
    sound = {name: cell for name, cell in results.cells.items() if name not in bad}
    measured = {name: each for name in results.cells if (each := figures(results, name))}
    comparisons, noise, apart = compare(results, sound)
    circumstances = Circumstances(results.cells)
    headline, sentences = _sentences(comparisons, circumstances)
    shares: dict[str, float] = {}
    for pair in comparisons:
        share = hop_share(pair, measured, results.cells) if pair.factor == "link" else None
        if share is not None:
            shares.setdefault(pair.first, share)
    unanswered = _unanswered(results.cells, comparisons, {**bad, **apart})
    if not sentences and not unanswered:
        headline, sentences = _without_comparison(results, sound, measured, noise, circumstances)
    else:
        sentences[1:1] = _hop(comparisons, shares, measured, results.cells)
    if unanswered:
        headline, sentences = unanswered[0].partition(":")[0], unanswered + sentences
    said_noise = noise_words(noise) if noise and comparisons else ""
    missing = [f"{name}: {why}" for name, why in {**bad, **apart}.items()]
    # What failed in a round is told of its cell, by `broken` or as a warning.
    missing += [
        problem
        for problem in results.problems
        if not any(problem.startswith(f"{name}: ") for each in results.rounds for name in each.failures)
    ]
    if results.ended:
        missing.append(f"Ended early: {results.ended}.")
    warned = warnings(results, sound)
    if noise and any(each.shown for each in noise.judged.values()) and said_noise:
        warned.insert(0, said_noise)
    elif said_noise:
        sentences.append(said_noise)
    unknown = [each for each in comparisons if each.answer is Answer.UNKNOWN]
    return Verdict(
        headline,
        sentences,
        comparisons,
        noise,
        burst_words(results.bursts, circumstances),
        warned,
        missing,
        complete=bool(sound) and not bad and not apart and not results.ended and not unknown,
        figures=measured,
        hop_shares=shares,
    )


ASKED_AS = {"link": "the link", "server": "the server", "target": "the application"}


def _unanswered(
    cells: Mapping[str, Cell], comparisons: list[Comparison], why: Mapping[str, str]
) -> list[str]:
    """The questions that were asked and to which nothing sound is left."""
    answered = {each.factor for each in comparisons}
    said = []
    for factor, asked in ASKED_AS.items():
        planned = [(first, second) for of, first, second in pairs(cells) if of == factor]
        if not planned or factor in answered:
            continue
        names = dict.fromkeys(
            name for pair in planned for name in (*pair, " against ".join(pair)) if name in why
        )
        said.append(
            f"No verdict on {asked}: {'; '.join(f'{name}: {first_line(why[name])}' for name in names)}."
        )
    return said


def _sentences(comparisons: list[Comparison], circumstances: Circumstances) -> tuple[str, list[str]]:
    """Question by question: the same factor and the same two levels."""
    questions: dict[tuple[int, str, str], list[Comparison]] = {}
    for each in comparisons:
        key = FACTORS.index(each.factor), *circumstances.subjects(each)
        questions.setdefault(key, []).append(each)
    headline, sentences = "", []
    for key in sorted(questions, key=lambda key: key[0]):
        answer, said = told(questions[key], circumstances)
        headline = headline or answer
        sentences += said
    return headline, sentences


def _hop(
    comparisons: list[Comparison],
    shares: Mapping[str, float],
    measured: Mapping[str, Figures],
    cells: Mapping[str, Cell],
) -> list[str]:
    for each in comparisons:
        if each.factor == "link" and each.first in shares:
            front = cells[each.first].front
            share = shares[each.first]
            return [hop_words(share, each, measured[each.second], "" if front == "direct" else front)]
    return []


def _without_comparison(
    results: Results,
    sound: Mapping[str, Cell],
    measured: Mapping[str, Figures],
    noise: Comparison | None,
    circumstances: Circumstances,
) -> tuple[str, list[str]]:
    """When there is nothing to set against each other."""
    if not measured:
        return "No verdict", ["No verdict: nothing was measured."]
    if not sound:
        return "No verdict", [
            "No verdict: nothing that was measured can be judged; what is wrong stands below."
        ]
    if noise and not any(not cell.twin and name != noise.first for name, cell in results.cells.items()):
        return told([noise], circumstances)
    name = next(iter(sound))
    one = measured[name]
    figure = (
        f"{level_name('link', sound[name].link)}, {circumstances.of(name, 'link')}, serves {one.requests_per_second:,.0f} requests/s "
        f"for {one.cpu_us:.3g} µs of CPU each"
    )
    planned = [other for other in results.cells if other not in sound]
    if planned:
        return "No verdict", [f"No verdict: there is nothing left to compare {name} with. {capital(figure)}."]
    return "Nothing to compare", [f"Nothing to compare: one thing was measured. {capital(figure)}."]
