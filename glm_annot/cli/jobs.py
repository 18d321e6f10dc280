"""Tasks shared among processes: each process has one at a time, answers come in the order of the tasks.

A process that dies, perhaps because memory ran out, loses only the task that it worked on. The
executors of `concurrent.futures` give up all waiting tasks, and do not say which one was lost.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Generic, TypeVar

from glm_annot.processes import end_on_signals

Task = TypeVar("Task")
Answer = TypeVar("Answer")

_STOP_SECONDS = 30.0  # for a terminated process to remove its unfinished files; then it is killed


def share(
    tasks: Sequence[Task],
    start: Callable[[], Callable[[Task], Answer]],
    jobs: int,
    *,
    on_death: Callable[[Task, int, int], Answer],
) -> Iterator[Answer]:
    """Does all tasks in `jobs` new processes; ending the iteration early stops them.

    Args:
        tasks: what is to be done.
        start: called once in each process; returns the function that does the tasks. It must be picklable.
        jobs: number of processes.
        on_death: called with a task whose process died, the process's number and its exit code (negative: the
            number of a signal); returns the answer for that task.

    Yields:
        the answers, in the order of the tasks.

    Raises:
        Exception: what a task raised; the other tasks are not finished then.
    """
    workers = _Workers(start)
    answers: dict[int, Answer] = {}
    given = 0
    try:
        for number in range(len(tasks)):
            while number not in answers:
                while given < len(tasks) and len(workers.busy) < jobs:
                    workers.assign(given, tasks[given])
                    given += 1
                for held, worker in workers.ready():
                    try:
                        answers[held] = workers.answer(held)
                    except EOFError:
                        answers[held] = on_death(tasks[held], *worker.wait_for_end())
            yield answers.pop(number)
    finally:
        workers.stop()


@dataclass(frozen=True, slots=True)
class _Worker:
    process: SpawnProcess
    pipe: Connection

    def wait_for_end(self) -> tuple[int, int]:
        """Number and exit code of a process that has closed its end of the pipe."""
        self.pipe.close()
        self.process.join()
        assert self.process.pid is not None and self.process.exitcode is not None
        return self.process.pid, self.process.exitcode


class _Workers(Generic[Task, Answer]):
    """The processes: idle ones, and busy ones by the number of their task."""

    def __init__(self, start: Callable[[], Callable[[Task], Answer]]) -> None:
        self._start = start
        self._idle: list[_Worker] = []
        self.busy: dict[int, _Worker] = {}

    def assign(self, number: int, task: Task) -> None:
        """Hands a task to an idle process, or to a new one."""
        worker = self._idle.pop() if self._idle else self._start_process()
        self.busy[number] = worker
        with suppress(BrokenPipeError):  # it died while idle or at its start; `ready` finds out
            worker.pipe.send(task)

    def ready(self) -> list[tuple[int, _Worker]]:
        """Waits for answers or deaths: (task, process), by task."""
        pipes = {worker.pipe: (number, worker) for number, worker in self.busy.items()}
        return sorted((pipes[pipe] for pipe in wait(list(pipes))), key=lambda found: found[0])  # type: ignore[index]

    def answer(self, number: int) -> Answer:
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

    def stop(self) -> None:
        """Ends all processes: idle ones end by themselves, busy ones are terminated."""
        everyone = [*self._idle, *self.busy.values()]
        for worker in self.busy.values():
            worker.process.terminate()
        for worker in everyone:
            worker.pipe.close()
        for worker in everyone:
            worker.process.join(_STOP_SECONDS)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def _start_process(self) -> _Worker:
        """A new process. Ctrl-C reaches all processes of a terminal; only the main process reacts to it."""
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=_work, args=(theirs, self._start), daemon=True
        )
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a new process inherits what is ignored
        try:
            process.start()
        finally:
            signal.signal(signal.SIGINT, handler)
        theirs.close()  # so that the pipe ends when the process does
        return _Worker(process, ours)


def _work(pipe: Connection, start: Callable[[], Callable[[Task], Answer]]) -> None:
    """What a process does: tasks, until the pipe is closed. An error of one goes back and is raised there."""
    end_on_signals()
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


def _follow_parent() -> None:
    """Stops this process when the one that started it has died."""
    parent = multiprocessing.parent_process()
    main = threading.main_thread().ident
    assert parent is not None and main is not None
    parent.join()
    signal.pthread_kill(main, signal.SIGTERM)
