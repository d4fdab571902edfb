"""An event loop with a clock of its own, whose processes can be killed or frozen at any step.

Time moves only when nothing is ready. A *life* is what one process is in the simulation: everything that runs in a
context with the life set belongs to it. A life that is killed runs not one step more, no `finally` either; one that is
frozen runs none until it is thawed, and does not know.

Work that the code under test gives to threads runs in threads, of which only one runs at a time, and only while the
loop waits for it (`Hand`): so a thread may ask the loop for a coroutine and wait, as it may in the product, and the
course of the world still depends on its seed alone.
"""

import asyncio
import contextvars
import itertools
import random
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, cast

BURIAL_ROUNDS = 50

LIFE: contextvars.ContextVar["Life | None"] = contextvars.ContextVar("life", default=None)


def context_of(handle: asyncio.Handle) -> contextvars.Context:
    """Return the context in which a handle runs."""
    return cast("Any", handle)._context  # type: ignore[no-any-return]  # asyncio does not type it


def call_of(handle: asyncio.Handle) -> tuple[Any, Any]:
    """Return what a handle calls, and with what."""
    return cast("Any", handle)._callback, cast("Any", handle)._args


class Killed(BaseException):
    """The process ends here; not an Exception, so that no code under test survives it."""


class Life:
    """One process, from its start to its end."""

    def __init__(self, owner: Any) -> None:
        self.owner = owner
        self.dead = False
        self.frozen = False
        self.requests_left: int | None = None
        self.held: list[asyncio.Handle] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.left: list[asyncio.Handle] = []  # what would have run, had it not been killed


class _NoSelector:
    """Waits by moving the clock."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("nothing is ready and nothing is due: the world stands still")
        self._loop.now_s += timeout
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop of a world."""

    _ready: deque[asyncio.Handle]  # asyncio's own

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.now_s = 0.0
        self.chance = chance
        self.steps = 0
        self.faults: list[dict[str, Any]] = []
        self._selector = _NoSelector(self)
        self._busy: list[Hand] = []
        self._back = threading.Semaphore(0)
        self.hand: Hand | None = None
        self.set_exception_handler(lambda _, fault: self.faults.append(fault))

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self.now_s

    def _process_events(self, _events: object) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody waits outside."""

    # ---- lives

    def _call_soon(self, callback: Any, args: Any, context: Any) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        life = context_of(handle).get(LIFE)
        if life is None:
            self._ready.append(handle)
        elif life.dead:
            life.left.append(handle)
        elif life.frozen:
            life.held.append(handle)
        else:
            self._ready.append(handle)
        return handle

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None) -> Any:
        """Make a task, and keep it as long as its life: a killed one must not be closed by the collector."""
        task = super().create_task(coro, name=name, context=context)
        life = context.get(LIFE) if context is not None else LIFE.get()
        if life is not None:
            life.tasks.append(task)
        return task

    def call_at(  # type: ignore[override]  # the types of arguments are the callback's
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """Call at a virtual time, unless the life has ended by then."""
        context = contextvars.copy_context() if context is None else context
        life = context.get(LIFE)
        if life is None:
            return super().call_at(when, callback, *args, context=context)
        return super().call_at(when, self._fire, life, callback, args, context=context)

    def _fire(self, life: Life, callback: Any, args: Any) -> None:
        if life.dead or life.frozen:
            held = life.left if life.dead else life.held
            held.append(asyncio.Handle(callback, args, self, contextvars.copy_context()))
        else:
            callback(*args)

    def kill(self, life: Life) -> None:
        """End a process: nothing of it runs any more."""
        life.dead = True
        for handle in list(self._ready):
            if context_of(handle).get(LIFE) is life and not handle.cancelled():
                life.left.append(asyncio.Handle(*call_of(handle), self, context_of(handle)))
                handle.cancel()
        life.left += life.held
        life.held.clear()

    def freeze(self, life: Life) -> None:
        """Stop a process as a long pause does."""
        life.frozen = True
        for handle in list(self._ready):
            if context_of(handle).get(LIFE) is life and not handle.cancelled():
                life.held.append(asyncio.Handle(*call_of(handle), self, context_of(handle)))
                handle.cancel()

    def thaw(self, life: Life) -> None:
        """Let a process go on."""
        life.frozen = False
        held, life.held = life.held, []
        self._ready.extend(handle for handle in held if not handle.cancelled())

    def bury(self, lives: list[Life]) -> None:
        """Close what killed processes left, when the world is over and nothing that they do counts any more."""
        for life in lives:
            life.dead = life.frozen = False
            left, life.left, life.held = life.left + life.held, [], []
            self._ready.extend(handle for handle in left if not handle.cancelled())
        for _ in range(BURIAL_ROUNDS):
            open_ = [task for life in lives for task in life.tasks if not task.done()]
            if not open_:
                return
            for task in open_:
                task.cancel()
            self.run_until_complete(asyncio.sleep(1.0))
        raise RuntimeError(f"tasks do not end: {open_[:3]}")

    # ---- threads

    def run_in_executor(  # type: ignore[override]  # the types of arguments are the function's
        self, _executor: Any, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """Run a function in a thread, a moment later."""
        future = self.create_future()
        job = _Job(self, func, args, future)
        self.call_later(self.chance.choice((0.0, 0.0, 0.0005, 0.004)), self.resume, job)
        return future

    def resume(self, job: "_Job") -> None:
        """Let a job run until it ends or has to wait."""
        if job.hand is None:
            job.hand = _IDLE.pop() if _IDLE else Hand()
            job.hand.loop, job.hand.job = self, job
            self._busy.append(job.hand)
        before, self.hand = self.hand, job.hand
        job.hand.go.release()
        self._back.acquire()
        self.hand = before
        if job.wanted is not None:
            wanted, job.wanted = job.wanted, None
            task = self.create_task(wanted)
            job.answer = task
            task.add_done_callback(lambda _: self.resume(job))
        elif job.ended:
            self._free(job.hand)
            if job.future.done():
                return
            if job.fault is not None:
                job.future.set_exception(job.fault)
            else:
                job.future.set_result(job.result)

    def give_back(self) -> None:
        """Called by a thread: let the loop go on."""
        self._back.release()

    def _free(self, hand: "Hand") -> None:
        self._busy.remove(hand)
        _IDLE.append(hand)

    def lock(self) -> "HandLock":
        """Return a lock for threads."""
        return HandLock(self)

    def end(self) -> None:
        """Have every thread end what it does, and close."""
        for hand in list(self._busy):
            hand.over = True
            hand.go.release()
            self._back.acquire()
            hand.over = False
            self._free(hand)
        self.close()


class _Job:
    """A function that a thread runs."""

    def __init__(self, loop: VirtualLoop, func: Callable[..., Any], args: Any, future: "asyncio.Future[Any]") -> None:
        self.loop = loop
        self.func = func
        self.args = args
        self.future = future
        self.context = contextvars.copy_context()
        self.hand: Hand | None = None
        self.wanted: Coroutine[Any, Any, Any] | None = None
        self.answer: asyncio.Task[Any] | None = None
        self.ended = False
        self.result: Any = None
        self.fault: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.context.run(self.func, *self.args)
        except BaseException as fault:  # noqa: BLE001 whoever waits gets it
            self.fault = fault
        self.ended = True


class Hand:
    """A thread that runs one job after the other, each a stretch at a time."""

    _numbers = itertools.count()

    def __init__(self) -> None:
        self.loop: VirtualLoop
        self.go = threading.Semaphore(0)
        self.job: _Job | None = None
        self.over = False
        threading.Thread(target=self._run, name=f"hand-{next(self._numbers)}", daemon=True).start()

    def _run(self) -> None:
        while True:
            self.go.acquire()
            assert self.job is not None
            self.job.run()
            self.job = None
            self.loop.give_back()

    def pause(self) -> None:
        """Wait until the loop resumes the job; called in the thread."""
        if self.over:
            raise Killed("the world is over")
        self.loop.give_back()
        self.go.acquire()
        if self.over:
            raise Killed("the world is over")

    def ask(self, wanted: Coroutine[Any, Any, Any]) -> Any:
        """Have the loop run a coroutine and return what it returns; called in the thread."""
        job = self.job
        assert job is not None
        if self.over:
            wanted.close()
            raise Killed("the world is over")
        job.wanted = wanted
        self.pause()
        answer = job.answer
        assert answer is not None
        return answer.result()


_IDLE: list[Hand] = []
"""Threads of worlds that are over."""


class Asked:
    """What `asyncio.run_coroutine_threadsafe` returns."""

    def __init__(self, hand: Hand, wanted: Coroutine[Any, Any, Any]) -> None:
        self._hand = hand
        self._wanted = wanted

    def result(self) -> Any:
        """Wait for the coroutine."""
        return self._hand.ask(self._wanted)


def ask_loop(wanted: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop) -> Asked:
    """Stand in for `asyncio.run_coroutine_threadsafe`."""
    assert isinstance(loop, VirtualLoop)
    assert loop.hand is not None, "only a thread waits for the loop"
    return Asked(loop.hand, wanted)


class HandLock:
    """A lock that a thread may hold while the loop runs for it."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._held = False
        self._waiting: deque[_Job] = deque()

    def __enter__(self) -> None:
        hand = self._loop.hand
        while self._held:
            assert hand is not None, "the loop itself must not wait for a lock"
            assert hand.job is not None
            self._waiting.append(hand.job)
            hand.pause()
        self._held = True

    def __exit__(self, *_: object) -> None:
        self._held = False
        if self._waiting:
            job = self._waiting.popleft()
            if not self._loop.is_closed():
                self._loop.call_soon(self._loop.resume, job, context=job.context.copy())
