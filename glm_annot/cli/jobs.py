"""Tasks shared among processes: each process has one at a time, answers come in the order of the tasks.

A process that dies, killed for want of memory perhaps, costs the task that it held and nothing else: the
executors of `concurrent.futures` give up all that was waiting, and do not say which task it was.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Generic, TypeVar

Task = TypeVar("Task")
Answer = TypeVar("Answer")

_PATIENCE = 30.0  # seconds for a stopped process to take its half files away; a batch of gLM takes less


def share(
    tasks: Sequence[Task],
    start: Callable[[], Callable[[Task], Answer]],
    jobs: int,
    *,
    lost: Callable[[Task, int, int], Answer],
) -> Iterator[Answer]:
    """Does all tasks in `jobs` new processes; ending the iteration early stops them.

    Args:
        tasks: what is to be done.
        start: called once in each process; what it returns does the tasks. It can be pickled.
        jobs: number of processes.
        lost: makes the answer for a task whose process died, from it, the process's number and its exit code
            (negative: that signal).

    Yields:
        the answers, in the order of the tasks.

    Raises:
        Exception: whatever a task raised; the other tasks are not done then.
    """
    crew = _Crew(start)
    answers: dict[int, Answer] = {}
    given = 0
    try:
        for number in range(len(tasks)):
            while number not in answers:
                while given < len(tasks) and len(crew.busy) < jobs:
                    crew.give(given, tasks[given])
                    given += 1
                for held, worker in crew.ready():
                    try:
                        answers[held] = crew.take(held)
                    except EOFError:
                        answers[held] = lost(tasks[held], *worker.buried())
            yield answers.pop(number)
    finally:
        crew.dismiss()


@dataclass(frozen=True, slots=True)
class _Worker:
    process: SpawnProcess
    pipe: Connection

    def buried(self) -> tuple[int, int]:
        """Number and exit code of a process that has closed its end of the pipe."""
        self.pipe.close()
        self.process.join()
        assert self.process.pid is not None and self.process.exitcode is not None
        return self.process.pid, self.process.exitcode


class _Crew(Generic[Task, Answer]):
    """The processes: idle ones, and busy ones by the number of their task."""

    def __init__(self, start: Callable[[], Callable[[Task], Answer]]) -> None:
        self._start = start
        self._idle: list[_Worker] = []
        self.busy: dict[int, _Worker] = {}

    def give(self, number: int, task: Task) -> None:
        """Hands a task to an idle process, or to a new one."""
        worker = self._idle.pop() if self._idle else self._hire()
        self.busy[number] = worker
        with suppress(BrokenPipeError):  # it died while idle or at its start; `ready` shows it
            worker.pipe.send(task)

    def ready(self) -> list[tuple[int, _Worker]]:
        """Waits for answers or deaths: (task, process), by task."""
        pipes = {worker.pipe: (number, worker) for number, worker in self.busy.items()}
        return sorted((pipes[pipe] for pipe in wait(list(pipes))), key=lambda found: found[0])  # type: ignore[index]

    def take(self, number: int) -> Answer:
        """The answer to a task.

        Raises:
            EOFError: its process has died.
            Exception: what the task raised.
        """
        worker = self.busy.pop(number)
        try:
            answer, error = worker.pipe.recv()
        except ConnectionResetError as reset:
            raise EOFError from reset
        self._idle.append(worker)
        if error is not None:
            raise error
        return answer  # type: ignore[no-any-return]

    def dismiss(self) -> None:
        """Sends all home: idle processes end by themselves, busy ones are stopped."""
        everyone = [*self._idle, *self.busy.values()]
        for worker in self.busy.values():
            worker.process.terminate()
        for worker in everyone:
            worker.pipe.close()
        for worker in everyone:
            worker.process.join(_PATIENCE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def _hire(self) -> _Worker:
        """A new process. Ctrl-C reaches all processes of a terminal; only the first one of us heeds it."""
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(theirs, self._start), daemon=True
        )
        heeded = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a new process inherits what is ignored
        try:
            process.start()
        finally:
            signal.signal(signal.SIGINT, heeded)
        theirs.close()  # so that the pipe ends when the process does
        return _Worker(process, ours)


def _serve(pipe: Connection, start: Callable[[], Callable[[Task], Answer]]) -> None:
    """What a process does: tasks, until the pipe is closed. An error of one goes back and is raised there."""
    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=_follow_parent, daemon=True).start()
    do = start()
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((do(task), None))
        except Exception as error:
            pipe.send((None, error))


def stop(number: int, _: object) -> None:
    """Ends the process as an exception does, so that half files are taken away on the way out."""
    sys.exit(128 + number)


def _follow_parent() -> None:
    """Stops this process when the one that started it has died."""
    parent = multiprocessing.parent_process()
    main = threading.main_thread().ident
    assert parent is not None and main is not None
    parent.join()
    signal.pthread_kill(main, signal.SIGTERM)
