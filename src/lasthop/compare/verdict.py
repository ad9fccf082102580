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
    more_time_words,
    noise_words,
    times_us,
    told,
)


@dataclass(frozen=True)
class Finding:
    """The answer to one question."""

    title: str
    sentences: list[str]
    """The answer itself, where there is one, does not stand in them."""
    is_answer: bool = True
    """Whether the title is the answer; else it says what the sentences are about."""

    @property
    def said(self) -> list[str]:
        """As whole sentences, the first with the answer before it."""
        if not self.is_answer:
            return self.sentences
        return [f"{self.title}: {self.sentences[0]}", *self.sentences[1:]]


@dataclass(frozen=True)
class Verdict:
    """All that can be said of a comparison's results."""

    findings: list[Finding]
    """Question by question, the first question first."""
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
    def headline(self) -> str:
        """The answer in a few words."""
        return self.findings[0].title

    @property
    def sentences(self) -> list[str]:
        """The first one begins with the answer; then by how much, question by question."""
        return [sentence for finding in self.findings for sentence in finding.said]


def judge(results: Results) -> Verdict:
    """The verdict."""
    bad = broken(results)
    sound = {name: cell for name, cell in results.cells.items() if name not in bad}
    measured = {name: each for name in results.cells if (each := figures(results, name))}
    comparisons, noise, apart = compare(results, sound)
    circumstances = Circumstances(results.cells)
    shares: dict[str, float] = {}
    for pair in comparisons:
        share = hop_share(pair, measured, results.cells) if pair.factor == "link" else None
        if share is not None:
            shares.setdefault(pair.first, share)
    findings = _unanswered(results.cells, comparisons, {**bad, **apart}) if measured else []
    findings += _answered(comparisons, circumstances)
    findings = findings or _without_comparison(results, sound, measured, noise, circumstances)
    findings[1:1] = _hop(comparisons, shares, measured, results.cells)
    warned = warnings(results, sound)
    said_noise = noise_words(noise) if noise and comparisons else ""
    if noise and any(each.shown for each in noise.judged.values()) and said_noise:
        warned.insert(0, said_noise)
    elif said_noise:
        findings.append(Finding("The noise", [said_noise], is_answer=False))
    missing = [f"{name}: {why}" for name, why in {**bad, **apart}.items()]
    # What failed in a round is told of its cell, by `broken` or as a warning.
    missing += [
        problem
        for problem in results.problems
        if not any(problem.startswith(f"{name}: ") for each in results.rounds for name in each.failures)
    ]
    if results.ended:
        missing.append(f"Ended early: {results.ended}.")
    unknown = [each for each in comparisons if each.answer is Answer.UNKNOWN]
    more_time = more_time_words(unknown)
    if more_time:
        warned.insert(0, more_time)
    return Verdict(
        findings,
        comparisons,
        noise,
        burst_words(results.bursts, circumstances),
        warned,
        missing,
        complete=bool(sound) and not bad and not apart and not missing and not unknown,
        figures=measured,
        hop_shares=shares,
    )


ASKED_AS = {"link": "the link", "server": "the server", "target": "the application"}


def _unanswered(
    cells: Mapping[str, Cell], comparisons: list[Comparison], why: Mapping[str, str]
) -> list[Finding]:
    """The questions that were asked and to which nothing sound is left."""
    answered = {each.factor for each in comparisons}
    found = []
    for factor, asked in ASKED_AS.items():
        planned = [(first, second) for of, first, second in pairs(cells) if of == factor]
        names = dict.fromkeys(
            name for pair in planned for name in (*pair, " against ".join(pair)) if name in why
        )
        if names and factor not in answered:
            reasons = "; ".join(f"{name}: {first_line(why[name])}" for name in names)
            found.append(
                Finding(f"No verdict on {asked}", [f"what it would rest on is missing or broken: {reasons}."])
            )
    return found


def _answered(comparisons: list[Comparison], circumstances: Circumstances) -> list[Finding]:
    """Question by question: the same factor and the same two levels."""
    questions: dict[tuple[int, str, str], list[Comparison]] = {}
    for each in comparisons:
        key = FACTORS.index(each.factor), *circumstances.subjects(each)
        questions.setdefault(key, []).append(each)
    return [
        Finding(*told(questions[key], circumstances)) for key in sorted(questions, key=lambda key: key[0])
    ]


def _hop(
    comparisons: list[Comparison],
    shares: Mapping[str, float],
    measured: Mapping[str, Figures],
    cells: Mapping[str, Cell],
) -> list[Finding]:
    for each in comparisons:
        if each.factor == "link" and each.first in shares:
            front = cells[each.first].front
            said = hop_words(
                shares[each.first], each, measured[each.second], "" if front == "direct" else front,
                level_name("link", cells[each.second].link),
            )  # fmt: skip
            return [Finding("The hop's share", [said], is_answer=False)]
    return []


def _without_comparison(
    results: Results,
    sound: Mapping[str, Cell],
    measured: Mapping[str, Figures],
    noise: Comparison | None,
    circumstances: Circumstances,
) -> list[Finding]:
    """When there is nothing to set against each other."""
    if not measured:
        return [Finding("No verdict", ["nothing was measured."])]
    if not sound:
        return [
            Finding("No verdict", ["nothing that was measured can be judged; what is wrong stands below."])
        ]
    if noise and all(cell.twin or name == noise.first for name, cell in results.cells.items()):
        return [Finding(*told([noise], circumstances))]
    name = next(iter(sound))
    one = measured[name]
    figure = (
        f"{capital(level_name('link', sound[name].link))}, {circumstances.of(name, 'link')}, "
        f"serves {one.requests_per_second:,.0f} requests/s for {times_us(one.cpu_us)} of CPU each."
    )
    if any(other not in sound for other in results.cells):
        return [Finding("No verdict", [f"there is nothing left to compare {name} with. {figure}"])]
    several = sum(not cell.twin for cell in results.cells.values()) > 1
    what = (
        "no two of the things that were measured differ in link, server, application, keep-alive or web server alone"
        if several
        else "one thing was measured"
    )
    return [Finding("Nothing to compare", [f"{what}. {figure}"])]
