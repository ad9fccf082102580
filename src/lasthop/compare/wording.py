"""What comparisons say, in words: the answer first, then by how much and how sure.

The words follow from which comparisons there are and what each one's intervals show, so the same findings are always told in the same
words. Figures have two digits behind which nobody should look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lasthop.compare.figures import Figures
from lasthop.compare.pairs import Answer, Comparison, Judged
from lasthop.compare.results import Burst, Cell
from lasthop.compare.statistics import POWER, Ratio, fewest_rounds

LINK_NAMES = {"unix": "the UNIX socket", "tcp": "TCP", "tcp6": "TCP over IPv6"}
LONGER_TAIL = 1.1
"""How much longer the slowest hundredth of replies must surely take to be held against what is better otherwise."""
HIDDEN = 1 / 3
"""The share of a request's cost below which the hop is hidden by the application."""


def times(value: float) -> str:
    """1.21, 0.83, 2.7, 12, 0.083: two digits that mean something."""
    if value >= 9.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1.995 else f"{value:.2f}" if value >= 0.0995 else f"{value:.2g}"


def interval(ratio: Ratio) -> str:
    """Both ends with the digits of the finer one."""
    digits = 2 if ratio.low < 1.995 else 1 if ratio.low < 9.95 else 0
    return f"[{ratio.low:,.{digits}f}\N{EN DASH}{ratio.high:,.{digits}f}]"


def per_cent(share: float) -> str:
    """A share, in two digits."""
    value = share * 100
    return f"{value:.0f} %" if value >= 9.95 else f"{value:.1f} %"


NAMED = {"server", "target", "front"}
"""Factors whose levels are names, which are written as they are."""


def level_name(factor: str, level: object) -> str:
    """A level of a factor, as a sentence calls it."""
    if factor == "link":
        return LINK_NAMES.get(str(level), str(level))
    if factor == "keep_alive":
        return "keep-alive" if level else "a connection for each request"
    return str(level)


@dataclass(frozen=True)
class Circumstances:
    """What cells have besides the factor that they differ in; factors that have one level only go without saying, but front and keep-alive."""

    cells: Mapping[str, Cell]

    def _several(self, factor: str) -> bool:
        return len({getattr(cell, factor) for cell in self.cells.values()}) > 1

    def of(self, name: str, factor: str) -> str:
        """`behind nginx with keep-alive`."""
        cell = self.cells[name]
        words = []
        if factor != "front":
            words.append(f"behind {cell.front}" if cell.front != "direct" else "asked directly")
        if factor != "link" and (self._several("link") or factor == "keep_alive"):
            words.append(f"over {level_name('link', cell.link)}")
        if factor != "keep_alive":
            words.append("with keep-alive" if cell.keep_alive else "without keep-alive")
        if factor != "server" and self._several("server"):
            words.append(f"served by {cell.server}")
        if factor != "target" and self._several("target"):
            words.append(f"({cell.target})")
        if self._several("connections"):
            words.append(f"on {cell.connections} connections")
        if self._several("body_bytes"):
            words.append(f"with bodies of {cell.body_bytes:,} bytes")
        if self._several("rate"):
            words.append(f"at {cell.rate:,.0f} requests/s" if cell.rate else "in a closed loop")
        return " ".join(words)

    def subjects(self, comparison: Comparison) -> tuple[str, str]:
        """The two levels, as a sentence calls them."""
        if comparison.factor == "twin":
            return self._same(comparison), "itself"
        factor = comparison.factor
        return (
            level_name(factor, getattr(self.cells[comparison.first], factor)),
            level_name(factor, getattr(self.cells[comparison.second], factor)),
        )

    def _same(self, comparison: Comparison) -> str:
        return level_name("link", self.cells[comparison.first].link)


def hidden(judged: Judged, what: str) -> str:
    """How small a difference would have shown; nothing where the metric was not measured."""
    return f"{per_cent(judged.ratio.detectable)} {what}" if judged.ratio and judged.known else ""


def clause(comparison: Comparison, subject: str, other: str) -> str:
    """What a comparison shows, with the subject before it: `serves 1.21 times the requests of TCP [1.18-1.24], for 0.83 times the CPU`."""
    main, cpu = (comparison.judged[metric] for metric in comparison.leading)
    tail = comparison.judged["p99"]
    of = f" of {other}" if other else ""
    if comparison.answer is Answer.UNKNOWN:
        return _too_few(comparison, subject, other)
    if main.shown and main.ratio:
        takes = "replies in {} times the time" if comparison.open_loop else "serves {} times the requests"
        said = f"{subject} {takes.format(times(main.ratio.median))}{of} {interval(main.ratio)}"
        if cpu.shown and cpu.ratio:
            but = "but " if comparison.answer is Answer.TRADE else ""
            said += f", {but}for {times(cpu.ratio.median)} times the CPU"
        else:
            said += f"; in CPU {_unshown(cpu)}"
    elif cpu.shown and cpu.ratio:
        said = f"{subject} takes {times(cpu.ratio.median)} times the CPU{of} {interval(cpu.ratio)}"
        said += f"; in {_main(comparison)} {_unshown(main)}"
    elif tail.shown and tail.ratio:
        said = f"the slowest hundredth of replies takes {times(tail.ratio.median)} times as long over {subject} as over {other}"
        said += f" {interval(tail.ratio)}; in {_main(comparison)} and CPU no difference shown"
    else:
        return f"no difference shown{_between(subject, other)}: {_would_have(comparison)}"
    return said + _longer_tail(comparison)


def _unshown(judged: Judged) -> str:
    """What is said of a metric that showed no difference, beside one that did."""
    would_have = hidden(judged, "would have")
    return f"no difference shown ({would_have})" if would_have else "too few rounds to tell"


def _main(comparison: Comparison) -> str:
    return "latency" if comparison.open_loop else "requests/s"


def _between(subject: str, other: str) -> str:
    return f" between {subject} and {other}" if other else ""


def _would_have(comparison: Comparison) -> str:
    main, cpu = (comparison.judged[metric] for metric in comparison.leading)
    shares = [hidden(main, f"in {_main(comparison)}"), hidden(cpu, "in CPU")]
    return f"{' or '.join(share for share in shares if share)} would have shown"


def _too_few(comparison: Comparison, subject: str, other: str) -> str:
    ratios = [each.ratio for each in comparison.judged.values() if each.ratio]
    if not ratios:
        return f"nothing to compare{_between(subject, other)}"
    rounds, needed = max(ratio.rounds for ratio in ratios), fewest_rounds(ratios[0].level)
    return f"too few rounds to tell{_between(subject, other)}: {rounds}, but {needed} are needed"


def more_time_words(comparisons: Sequence[Comparison]) -> str:
    """What to do about too few rounds; nothing where there are enough."""
    short = [
        (fewest_rounds(ratio.level), ratio.rounds)
        for each in comparisons
        for judged in each.judged.values()
        if (ratio := judged.ratio) and not ratio.enough
    ]
    if not short:
        return ""
    needed, rounds = max(needed for needed, _ in short), min(rounds for _, rounds in short)
    return (
        f"There were {rounds} undisturbed rounds, and {needed} are needed for all answers: take {times(needed / rounds)} times as long "
        "(--seconds), or compare fewer things at once (--link, --keep-alive)."
    )


def _longer_tail(comparison: Comparison) -> str:
    ratio = comparison.judged["p99"].ratio
    worse = comparison.answer is Answer.FIRST and ratio and ratio.enough and ratio.low > LONGER_TAIL
    return (
        f". But its slowest hundredth of replies takes {times(ratio.median)} times as long {interval(ratio)}"
        if worse and ratio
        else ""
    )


def capital(text: str) -> str:
    """With a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]


def first_line(text: str) -> str:
    """Of what a program said, without its full stop."""
    return text.partition("\n")[0].rstrip(".: ")


def title_name(factor: str, level: object) -> str:
    """A level of a factor, as a title calls it."""
    name = level_name(factor, level)
    return name if factor in NAMED else capital(name.removeprefix("the "))


def common_answer(answers: Iterable[Answer]) -> Answer | None:
    """The answer of comparisons of the same factor; None: they contradict each other."""
    known = [answer for answer in answers if answer is not Answer.UNKNOWN]
    if not known:
        return Answer.UNKNOWN
    said = set(known) - {Answer.NEITHER}
    if not said:
        return Answer.NEITHER
    return said.pop() if len(said) == 1 else None


SMALL = 0.1
"""A difference that may be left out of account when a link is chosen."""


def lead(factor: str, answer: Answer | None, subject: str, other: str, unseen: float) -> str:
    """The answer in a few words, that which a reader in haste takes away. `subject` is the better one.

    `unseen`: up to which difference nothing would have shown.
    """
    better, worse = subject, other
    begins = better if factor in NAMED else capital(better)
    if answer is Answer.UNKNOWN:
        return "No verdict yet"
    if answer is None:
        return f"It depends whether {better} or {worse} is better"
    if answer is Answer.TRADE:
        return f"{begins} or {worse} is a trade"
    if answer is Answer.NEITHER:
        return {
            "link": "Either link will do"
            if unseen <= SMALL
            else f"No difference found, but less than {per_cent(unseen)} could not be seen here",
            "keep_alive": "Keep-alive or not makes no difference that shows",
            "twin": "No difference shown, as it should be",
        }.get(factor, f"{begins} or {worse}: no difference shown")
    return {
        "link": f"Use {better}" + (f" rather than {worse}" if worse == LINK_NAMES["tcp6"] else ""),
        "keep_alive": "Keep connections to the application alive"
        if better == "keep-alive"
        else "Do not keep connections to the application alive",
        "target": f"{better} is the cheaper application",
        "twin": "Do not trust small differences here: the same thing measured twice differs",
    }.get(factor, f"Use {better} rather than {worse}")


def told(comparisons: Sequence[Comparison], circumstances: Circumstances) -> tuple[str, list[str]]:
    """The answer of comparisons of one factor in a few words, and sentences, the first of which goes on after the answer."""
    answer = common_answer(each.answer for each in comparisons)
    if answer is Answer.SECOND:
        comparisons = [each.turned() for each in comparisons]
        answer = Answer.FIRST
    # What shows something comes first.
    ordered = sorted(comparisons, key=lambda each: each.answer in (Answer.NEITHER, Answer.UNKNOWN))
    subject, other = circumstances.subjects(ordered[0])
    unseen = [each.judged[each.leading[0]].ratio for each in ordered]
    headline = lead(
        ordered[0].factor,
        answer,
        subject,
        other,
        max((each.detectable for each in unseen if each), default=1.0),
    )
    sentences = []
    for place, each in enumerate(ordered):
        subject, other = circumstances.subjects(each)
        around = circumstances.of(each.first, each.factor)
        if place == 0:
            clear = answer is Answer.FIRST and each.factor != "keep_alive"
            doer = "it" if clear else "this" if answer is Answer.FIRST else subject
            sentences.append(f"{around}, {clause(each, doer, other)}.")
        else:
            doer = subject if answer is None else "this" if each.factor == "keep_alive" else "it"
            sentences.append(f"{capital(around)}, {clause(each, doer, other if answer is None else '')}.")
    return headline, sentences


def hop_share(
    comparison: Comparison, measured: Mapping[str, Figures], cells: Mapping[str, Cell]
) -> float | None:
    """What share of a request's cost lies outside the application at most, on the dearer link; None: the system does not tell.

    Of its CPU time where the server is busy; of the time it takes where the server mostly waits (for a database, say).
    """
    shares = []
    for name in (comparison.first, comparison.second):
        each = measured[name]
        if each.hop_us is None or not each.cpu_us:
            return None
        waits = server_waits(each)
        whole = cells[name].connections * 1e6 / each.requests_per_second if waits else each.cpu_us
        shares.append(min(1.0, each.hop_us / whole))
    return max(shares)


BUSY_SERVER = 0.5
"""Of one core: a hop (server and front together) below it waits more than it works."""


def server_waits(each: Figures) -> bool:
    """Whether the application waits for something else most of the time, and not for the front, the load or others on this machine."""
    busy = each.cpu_us * each.requests_per_second / 1e6
    # On a busy machine, what little it used may be all that it got; but others leave it a quarter of a core.
    return max(busy, each.load_busy) < BUSY_SERVER and (
        each.disturbed < BUSY_SERVER or busy < BUSY_SERVER / 2
    )


def hop_words(share: float, comparison: Comparison, measured: Figures, behind: str, name: str) -> str:
    """What the share means for the choice of a link."""
    hop = f"{behind} and the server's part in the kernel" if behind else "the server's part in the kernel"
    of = (
        "of the time that a request takes"
        if server_waits(measured)
        else f"of the {times_us(measured.cpu_us)} of CPU that a request takes over {name}"
    )
    said = f"{of}, the hop ({hop}) has {per_cent(share)} at most"
    if share >= HIDDEN:
        return f"{capital(said)}: enough for the link to matter."
    bound = f"no link could serve more than {times(1 / (1 - share))} times the requests"
    hides = comparison.answer is Answer.NEITHER
    return f"{'The application hides the link: ' + said if hides else capital(said)}; {bound}."


def times_us(us: float) -> str:
    """CPU time in microseconds, in three digits at most."""
    return f"{us:,.0f} µs" if us >= 99.5 else f"{us:#.3g} µs"


def burst_words(bursts: Sequence[Burst], circumstances: Circumstances) -> list[str]:
    """What happened to connections that began at the same moment."""
    said = []
    for each in bursts:
        if each.cell not in circumstances.cells:
            continue
        cell = circumstances.cells[each.cell]
        name = level_name("link", cell.link)
        who = f" of {cell.server}" if len({c.server for c in circumstances.cells.values()}) > 1 else ""
        lost = each.timed_out + sum(each.other.values())
        also = f"; {lost:,} got no reply" if lost else ""
        if each.refused:
            room = f"Bursts above {each.queue:,} connections" if each.queue else "Large bursts"
            said.append(
                f"{room} are refused on {name}{who}: {each.refused:,} of {each.asked:,} at the same moment{also}."
            )
        elif lost:
            said.append(
                f"Of {each.asked:,} connections at the same moment, {lost:,} got no reply on {name}{who}; none was refused."
            )
        elif each.queue and each.asked > each.queue:
            said.append(
                f"Bursts above {each.queue:,} connections are only delayed on {name}{who}: the slowest of {each.asked:,} had its reply after {seconds(each.slowest_reply_us)}."
            )
        else:
            said.append(
                f"A burst of {each.asked:,} connections at the same moment is taken on {name}{who}; the slowest had its reply after {seconds(each.slowest_reply_us)}."
            )
    return said


def seconds(us: float) -> str:
    """A time in the unit that suits it, in two digits."""
    value, unit = (us / 1e6, "s") if us >= 995_000 else (us / 1e3, "ms") if us >= 995 else (us, "µs")
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"


def noise_words(noise: Comparison) -> str:
    """What the same thing differed by when it was measured twice."""
    if noise.answer is Answer.UNKNOWN:
        return ""
    differing = [each.ratio for each in noise.judged.values() if each.shown and each.ratio]
    if differing:
        most = max(differing, key=lambda ratio: abs(ratio.median - 1))
        return (
            f"The same thing, measured twice, differs by {per_cent(abs(most.median - 1))}: something here is not alike for all "
            "(a neighbour, the order, heat). All intervals are wider by as much."
        )
    return f"The same thing, measured twice: no difference shown, as it should be ({_would_have(noise)})."


WOULD = f"“Would have shown”: in {POWER:.0%} of such comparisons."
