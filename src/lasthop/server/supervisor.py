"""The supervisor: owns the listeners, keeps the workers there, and ends with an exit code that tells why.

One loop: signals, messages and deaths first, then what time has brought, then whatever is missing is started. It never imports the
application nor the engine. The rules are in docs/design/supervisor.md.
"""

import os
import selectors
import signal
import time
from collections.abc import Callable
from logging import getLogger
from typing import TYPE_CHECKING

from lasthop.link.listener import Listener
from lasthop.server import advice, exits, logs
from lasthop.server.backoff import Backoff
from lasthop.server.child import Child, Stage
from lasthop.server.crew import Crew, Forked, how_it_ended
from lasthop.server.filewatch import FileWatch, Outcome
from lasthop.server.generation import Generation, Loader
from lasthop.server.planning import Planner
from lasthop.server.ready import Systemd, announce
from lasthop.server.signals import Signals
from lasthop.server.status import Standing
from lasthop.server.statusroom import StatusRoom
from lasthop.server.stuck import StuckWatch
from lasthop.server.takeover import Takeover
from lasthop.server.target import Target, parse
from lasthop.server.worker import IDLE_LINGER_SECONDS

if TYPE_CHECKING:
    from lasthop.settings import Settings

QUICK_SECONDS = 2.0
"""How long a worker has to end when it is stopped quickly, or to write its stacks when it is stuck."""

MARGIN_SECONDS = 1.0
"""A draining worker closes its last idle connection after the graceful time-out; it is killed this much later."""

LONGEST_TICK_SECONDS = 1.0

HEARD = (
    signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU,
)  # fmt: skip

log = getLogger("lasthop")


def run(target: str, settings: "Settings", reread: "Callable[[], Settings] | None" = None) -> int:
    """Serve until told to stop; the exit code. In a worker too: the processes that it forks return from here.

    Raises LasthopError for what can be known to be wrong before anything is started.
    """
    error_log = logs.open_error_log(settings.error_logfile, settings.log_level)
    supervisor = Supervisor(parse(target), settings, reread, error_log)
    try:
        return supervisor.serve()
    except Forked as fork:
        supervisor.let_go(fork.listeners)
        become = fork.become
    del supervisor
    return become()


class Supervisor:
    """What should be there, what is there, and the loop that makes the two the same."""

    def __init__(
        self,
        target: Target,
        settings: "Settings",
        reread: "Callable[[], Settings] | None",
        error_log: logs.Sink,
    ) -> None:
        self._target = target
        self._ready_fd = settings.ready_fd
        self._reload_fast = settings.reload
        if settings.reload:
            from lasthop.server import reload

            reload.check_available()
        if settings.preload:
            from lasthop.server import loader

            loader.become_reaper()
        self._planner = Planner(target, settings, reread, error_log)
        self._takeover = Takeover(self._planner, settings)
        self._pid_file = self._takeover.pid_file
        try:
            self._generation = self._planner.first(settings)
        except BaseException:
            if self._pid_file is not None:
                self._pid_file.remove()
            raise
        self._next: Generation | None = None
        """The generation that is to take over once all of its workers are ready."""
        self._systemd = Systemd()
        self._signals = Signals(HEARD)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._signals, selectors.EVENT_READ, None)
        self._selector.register(self._takeover, selectors.EVENT_READ, None)
        self._crew = Crew(self._selector)
        self._announced = False
        self._took_over = False
        """Whether a reload has still to be told: workers of the generation before accept until they say otherwise."""
        self._waits_for_change = False
        self._reload_asked = False
        self._stopping = False
        self._code = exits.STOPPED
        self._backoff = Backoff()
        self._start_after = 0.0
        self._last_failure = ""
        self._file_watch = FileWatch(self._planner.listening, self._crew)
        self._stuck_watch = StuckWatch(time.monotonic())
        self._watchdog_at = 0.0
        self._status = StatusRoom(target, self._selector, self._crew, self._systemd, self._standing)

    def serve(self) -> int:
        """The loop, until the last worker has gone."""
        try:
            self._status.open(patient=self._takeover.another_serves)
            if self._reload_fast:
                from lasthop.server import reload

                self._crew.start_watcher(reload.watched_directories(self._generation.settings.pythonpath))
            log.info("pid %d serves %s", os.getpid(), self._target.text)
            while not (self._stopping and not self._crew.children):
                self._turn()
        except Forked:
            raise
        except BaseException:
            self._code = exits.FAILED
            self._close()
            raise
        self._close()
        log.info("stopped")
        self._signals.ignore()
        return self._code

    def let_go(self, keep: list[Listener]) -> None:
        """In a fork: close what is the supervisor's alone, so that its end is seen and its files stay its own."""
        self._planner.listening.let_go(keep)
        self._status.let_go()
        self._signals.close()
        self._selector.close()
        self._crew.let_go()
        self._takeover.let_go()
        if self._ready_fd is not None:
            os.close(self._ready_fd)

    def _close(self) -> None:
        self._takeover.close()
        self._crew.close()
        self._planner.listening.close()
        if self._pid_file is not None:
            self._pid_file.remove()
        self._status.close()
        # Last: what removes files must not be ended by a second TERM. What is left to do, a line of the log that nobody takes, may be.
        self._signals.close(self._code)
        self._selector.close()

    def _standing(self) -> Standing:
        reloading = self._reload_asked or self._next is not None or self._took_over
        return Standing(self._generation, self._announced, reloading, self._stopping)

    # What happens in one turn of the loop

    def _turn(self) -> None:
        self._converge()
        events = self._selector.select(self._until_next())
        # Signals first: when a terminal's Ctrl-C ended the workers too, their deaths are no surprise.
        numbers = self._signals.take()
        for number in numbers:
            self._on_signal(number)
        for key, _ in events:
            if callable(key.data):
                key.data()
            elif key.data is not None:
                self._hear(key.data)
        self._bury()
        if self._takeover.turn(self._hindrance()):
            self._stop(quick=False)
        self._check_time()

    def _hindrance(self) -> str:
        """Why this is no moment for another server to take over."""
        if not self._announced:
            return "is still starting"
        return "is reloading" if self._next is not None or self._took_over or self._reload_asked else ""

    def _converge(self) -> None:
        """Start what is missing, and let those go that are not needed any more."""
        if self._stopping:
            return
        may_reload = (self._announced or self._waits_for_change) and not self._takeover.busy
        if self._reload_asked and self._next is None and may_reload:
            self._reload_asked = False
            self._begin_reload()
        if self._next is not None:
            self._fill(self._next)
            if self._all_ready(self._next):
                self._take_over(self._next)
        if self._took_over and not self._crew.accept_before(self._generation):
            self._tell_reloaded()
        if not self._waits_for_change and time.monotonic() >= self._start_after:
            self._fill(self._generation)
        if self._all_ready(self._generation):
            if not self._announced:
                self._announce()
            for child in self._crew.of(self._generation):
                if child.stage is Stage.RETIRING:
                    self._drain(child)

    def _fill(self, generation: Generation) -> None:
        here = [child for child in self._crew.of(generation) if child.counts]
        missing = generation.wanted - len(here)
        if missing > 0 and generation.settings.preload:
            if generation.loader is None:
                try:
                    self._crew.start_loader(generation)
                except OSError as error:
                    self._could_not_start(generation, error)
                    return
            if generation.loader is None or not generation.loader.loaded:
                return
        for _ in range(missing):
            try:
                self._crew.start(generation)
            except OSError as error:
                self._could_not_start(generation, error)
                return
        for child in here[generation.wanted :] if missing < 0 else ():
            self._drain(child)

    def _could_not_start(self, generation: Generation, error: OSError) -> None:
        """The system gave no process or no descriptor. What runs goes on."""
        text = f"no worker could be started: {error.strerror or error}"
        if generation is self._generation and self._announced:
            log.error("%s; trying again", text)
            self._start_later(0.0)
        else:
            self._boot_failed(generation.number, exits.BOOT_FAILED, text)

    def _all_ready(self, generation: Generation) -> bool:
        serving = [child for child in self._crew.of(generation) if child.stage is Stage.SERVING]
        return len(serving) >= generation.wanted

    def _announce(self) -> None:
        generation = self._generation
        if not self._takeover.confirm(generation.settings):
            self._stop(quick=False, code=exits.FAILED)
            return
        self._announced = True
        log.info("ready: %s", generation.status)
        if self._ready_fd is not None:
            announce(self._ready_fd, [each.address for each in generation.listeners])
            self._ready_fd = None
        self._systemd.ready(generation.status)
        advice.give(generation.listeners)

    # Signals and messages

    def _on_signal(self, number: signal.Signals) -> None:
        match number:
            case signal.SIGTERM:
                self._stop(quick=self._stopping and not self._takeover.is_first_term())
            case signal.SIGINT | signal.SIGQUIT:
                self._stop(quick=True)
            case signal.SIGHUP:
                self._reload_asked = True
            case signal.SIGTTIN:
                self._want(self._generation.wanted + 1)
            case signal.SIGTTOU:
                self._want(self._generation.wanted - 1)
            case signal.SIGUSR1:
                self._reopen_logs()
            case signal.SIGUSR2:
                log.warning("SIGUSR2 has no meaning here; SIGHUP loads new code without losing a request")

    def _want(self, workers: int) -> None:
        self._generation.wanted = max(1, workers)
        log.info("%s from now on", self._generation.status)
        self._systemd.status(self._generation.status)

    def _reopen_logs(self) -> None:
        self._planner.reopen_logs()
        for child in self._crew.children:
            child.signal(signal.SIGUSR1)

    def _hear(self, sender: Child | Loader) -> None:
        for message in self._crew.hear(sender):
            word, _, rest = message.partition(b" ")
            if sender is self._crew.watcher:
                log.info("%s has changed; reloading", message.decode("utf-8", "replace"))
                self._reload_asked = True
            elif word == b"failed":
                code, _, text = rest.partition(b" ")
                sender.failure = int(code), text.decode("utf-8", "replace")
            elif isinstance(sender, Loader):
                sender.loaded = True
            elif word == b"pid":
                sender.pid = int(rest)
            elif word == b"ready":
                turned_at, threads, counters = rest.decode().split(" ")
                for generation in filter(None, (self._generation, self._next)):
                    if generation.number == sender.generation:
                        generation.threads = int(threads)
                sender.became_ready(int(turned_at), counters)
                log.debug("worker %s is ready", sender.pid)
            elif word == b"turned":
                sender.moved_at = time.monotonic()
            elif word == b"closed":
                sender.accepts = False
            elif word == b"retire" and sender.stage is Stage.SERVING:
                sender.stage = Stage.RETIRING
                log.info("worker %s has served as many requests as it should; starting another", sender.pid)

    # Deaths

    def _bury(self) -> None:
        for ended, pid, status in self._crew.buried():
            if ended is None:
                # A worker that a loader forked may die before we have read who it is.
                for child in self._crew.children:
                    if child.pid is None:
                        self._hear(child)
                ended = next((child for child in self._crew.children if child.pid == pid), None)
            if isinstance(ended, Child):
                self._hear(ended)
                self._buried(ended, status)
            elif isinstance(ended, Loader):
                self._hear(ended)
                self._loader_ended(ended, status)
        for child in self._crew.lost():
            self._buried(child, None)

    def _buried(self, child: Child, status: int | None) -> None:
        self._crew.remove(child)
        how = "never started" if status is None else how_it_ended(status)
        if child.stage is Stage.LEAVING:
            log.debug("worker %s has left (%s)", child.pid, how)
        elif child.stage is Stage.BOOTING:
            self._boot_failed(child.generation, *(child.failure or _unready(f"worker {child.pid} {how}")))
        elif child.stage is Stage.STUCK and not child.ready_at:
            still = f"worker {child.pid} stood still while it loaded the application"
            self._boot_failed(child.generation, *(child.failure or _unready(still)))
        elif child.stage is Stage.STUCK:
            log.error("worker %s, which was stuck, %s; starting another", child.pid, how)
        else:
            log.error("worker %s %s; starting another", child.pid, how)
            self._start_later(time.monotonic() - child.ready_at)

    def _loader_ended(self, ended: Loader, status: int) -> None:
        self._crew.bury_loader(ended)
        if ended is self._crew.watcher:
            log.error("the watcher %s; source files are not watched any more", how_it_ended(status))
            self._crew.watcher = None
        for generation in (self._generation, self._next):
            if generation is not None and generation.loader is ended:
                generation.loader = None
                if not ended.loaded:
                    failure = ended.failure or _unready(f"the loader {how_it_ended(status)}")
                    self._boot_failed(generation.number, *failure)

    def _boot_failed(self, number: int, code: int, text: str) -> None:
        if self._stopping:
            return
        if self._next is not None and number == self._next.number:
            self._dismiss(self._next)
            self._planner.abandon(self._next, self._generation)
            self._next = None
            log.error("%s", text)
            log.error("the new code or settings cannot be served; %s go on", self._generation.status)
            self._systemd.ready(self._generation.status)
        elif number != self._generation.number:
            return
        elif self._announced:
            log.error("%s", text if text != self._last_failure else "the same again")
            self._last_failure = text
            self._start_later(0.0)
        else:
            log.error("%s", text)
            if self._reload_fast:
                log.info("waiting for a source file to change")
                self._waits_for_change = True
                self._dismiss(self._generation)
            else:
                self._stop(quick=not self._takeover.another_serves, code=code)

    def _start_later(self, lived_seconds: float) -> None:
        self._start_after = time.monotonic() + self._backoff.delay_after(lived_seconds)

    # Generations

    def _begin_reload(self) -> None:
        """Start the next generation beside this one."""
        log.info("reloading")
        self._systemd.reloading()
        try:
            self._next = self._planner.following(self._generation)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever reading the settings again may say
            log.error("%s", error)
            log.error("not reloaded; %s go on", self._generation.status)
            self._systemd.ready(self._generation.status)

    def _take_over(self, new: Generation) -> None:
        old, self._generation, self._next = self._generation, new, None
        self._waits_for_change = False
        self._backoff, self._start_after, self._last_failure = Backoff(), 0.0, ""
        self._dismiss(old)
        self._planner.keep(new)
        self._took_over = True

    def _tell_reloaded(self) -> None:
        """Once no new connection can reach the old code any more."""
        self._took_over = False
        log.info("reloaded: %s", self._generation.status)
        if self._announced:
            self._systemd.ready(self._generation.status)
        advice.give(self._generation.listeners)

    def _dismiss(self, generation: Generation) -> None:
        self._crew.end_loader(generation)
        for child in self._crew.of(generation):
            self._drain(child)

    def _drain(self, child: Child) -> None:
        """Let a worker go while others serve. Developers who reload want no connection to bring a request to the old code."""
        graceful = self._generation.settings.graceful_timeout
        child.drain(0.0 if self._reload_fast else graceful, graceful + MARGIN_SECONDS)

    def _stop(self, quick: bool, code: int = exits.STOPPED) -> None:
        if not self._stopping:
            log.info("stopping%s", " quickly" if quick else "")
            self._stopping = True
            self._code = code
            self._selector.unregister(self._takeover)
            self._takeover.close()
            if self._takeover.others_serve is None:
                self._systemd.stopping()
            else:
                self._status.close()  # its address is the other one's to take
                self._systemd.served_by(self._takeover.others_serve)
            # The workers take what is in the queues and then close their ends too. Who comes after that is refused at once and
            # can be sent elsewhere, instead of waiting in a queue that nobody will serve.
            self._planner.listening.close()
            self._crew.end_watcher()
            for generation in (self._generation, self._next):
                if generation is not None:
                    self._crew.end_loader(generation)
        graceful = self._generation.settings.graceful_timeout
        for child in self._crew.children:
            if quick:
                child.stop(min(QUICK_SECONDS, graceful))
            elif self._takeover.others_serve is not None:
                self._drain(child)
            else:
                child.drain(min(IDLE_LINGER_SECONDS, graceful), graceful)

    # Time

    def _check_time(self) -> None:
        now = time.monotonic()
        for child in self._crew.overdue(now):
            log.error("worker %s has not ended in time; killing it", child.pid)
            child.kill_at = None
            child.signal(signal.SIGKILL)
        settled = self._next is None and self._all_ready(self._generation)
        settled = settled and self._announced and not self._stopping and not self._takeover.busy
        if settled and self._file_watch.look(self._generation, now) is Outcome.EXIT:
            self._stop(quick=False, code=exits.FAILED)
        self._status.look(now)
        timeout = self._generation.settings.timeout
        for child, seconds in self._stuck_watch.stuck(self._crew.children, self._crew.turned, timeout, now):
            what = self._generation.what_stands if child.ready_at else "the application has been loading"
            log.critical(
                "worker %s is stuck: %s for %.1f s; where each stands follows", child.pid, what, seconds
            )
            child.abort(QUICK_SECONDS)
        every = self._systemd.watchdog_seconds
        if every is not None and now >= self._watchdog_at:
            self._systemd.watchdog()
            self._watchdog_at = now + every

    def _until_next(self) -> float:
        """Seconds until something is due by the clock."""
        now = time.monotonic()
        timeout = self._generation.settings.timeout
        due = [now + (min(LONGEST_TICK_SECONDS, timeout / 4) if timeout else LONGEST_TICK_SECONDS)]
        due += [child.kill_at for child in self._crew.children if child.kill_at is not None]
        if self._start_after > now:
            due.append(self._start_after)
        if self._systemd.watchdog_seconds is not None:
            due.append(self._watchdog_at)
        return max(0.0, min(due) - now)


def _unready(what: str) -> tuple[int, str]:
    return exits.BOOT_FAILED, f"{what} before it was ready"
