"""`run kmeans` in a process of its own that is read as it runs, and never waited for in vain."""

import contextlib
import os
import re
import signal
import threading

import psutil

from tests.cli import drill as commands

LONGEST_S = 180.0  # of a command: then it hangs
ITERATION = re.compile(r"iterations +(?:run \d+, )?iteration ([\d,]+),")


class Command:
    """Its last arguments are `words`; the result is in `out` below the folder.

    lines   of stderr so far; None is the end
    hung    whether it was killed because it took longer than LONGEST_S
    """

    def __init__(self, folder, *words):
        usual = ("--chunk-seconds", "0.2", "--checkpoint-every", "5", "--verbose")
        self.lines, self.hung = [], False
        self._news = threading.Condition()
        self.process = commands.start_command(
            "run", "kmeans", *usual, "--dashboard-address", "127.0.0.1:0", "-o", "out", *words,
            cwd=folder,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._alarm = threading.Timer(LONGEST_S, self._end)
        self._alarm.start()

    def _read(self):
        for line in self.process.stderr:
            self._hear(line.rstrip())
        self._hear(None)

    def _hear(self, line):
        with self._news:
            self.lines.append(line)
            self._news.notify_all()

    def _end(self):
        self.hung = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    @property
    def iteration(self):
        """The last one that it told of; 0 when it told of its workers, else -1."""
        for line in reversed(self.lines):
            found = ITERATION.match(line or "")
            if found:
                return int(found[1].replace(",", ""))
        return 0 if any(line and line.startswith("worker ") for line in self.lines) else -1

    def wait_for(self, iteration, later_s):
        """Until so many seconds after it told of that iteration, or until its end."""
        with self._news:
            self._news.wait_for(lambda: None in self.lines or self.iteration >= iteration)
        self.wait_for_end(later_s)

    def wait_for_end(self, seconds):
        """Until the end, but no longer than that; whether it is over."""
        with self._news:
            return self._news.wait_for(lambda: None in self.lines, seconds)

    def workers(self):
        """Its worker processes; none before it has some, and after its end."""
        try:
            children = psutil.Process(self.process.pid).children()
            return [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        except psutil.Error:
            return []

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        """End it, should it still run."""
        if self.process.poll() is None:
            self._end()
            self.process.wait(20)
        self._alarm.cancel()

    def wait(self):
        """Exit code, once all its processes are gone."""
        try:
            self._reader.join()
            code = self.process.wait(20)
            assert commands.wait_until(lambda: not commands.members(self.process.pid), 30)
            return code
        finally:
            self._alarm.cancel()
            self.process.stdout.close()
            self.process.stderr.close()


def tell(process, number):
    """Send a signal; whether the process was still there."""
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return False
    return True
