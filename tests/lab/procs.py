"""Programs of the lab: each in a process group of its own, ended by that group.

A program dies with the lab even when the lab is killed: setpriv asks the kernel
to send it SIGTERM when the thread that started it is gone. Hence start() hands
over to one thread that lives as long as the process.
"""
import os
import queue
import signal
import socket
import subprocess
import threading
import time


def free_port(host='127.0.0.1'):
    with socket.socket() as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def wait_port(host, port, seconds, program=None):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if program and program.poll() is not None:
            return False
        try:
            socket.create_connection((host, port), timeout=1).close()
            return True
        except OSError:
            time.sleep(0.03)
    return False


class Loop:
    """Work done every so often in a thread; what it throws is kept in bugs, and it goes on."""
    bugs = []

    def __init__(self, name, seconds, work):
        self.name, self.seconds, self.work = name, seconds, work
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True, name=name)

    def run(self):
        while not self.stop.wait(self.seconds):
            try:
                self.work()
            except Exception as e:
                if not self.stop.is_set():
                    Loop.bugs.append(f'{self.name}: {e!r}')

    def start(self):
        self.thread.start()

    def end(self):
        self.stop.set()
        if self.thread.is_alive():
            self.thread.join(10)


class Procs:
    def __init__(self, log_dir):
        self.log_dir, self.running, self.lock, self.wishes = log_dir, [], threading.Lock(), queue.Queue()
        os.makedirs(log_dir, exist_ok=True)
        threading.Thread(target=self.spawner, daemon=True, name='spawner').start()

    def spawner(self):
        while True:
            name, argv, env, folder, reply = self.wishes.get()
            try:
                with open(os.path.join(self.log_dir, name + '.log'), 'ab') as log:
                    reply.put(subprocess.Popen(['setpriv', '--pdeathsig', 'TERM', *argv], env=env, cwd=folder, stdout=log,
                                               stderr=log, stdin=subprocess.DEVNULL, start_new_session=True))
            except OSError as e:
                reply.put(e)

    def start(self, name, argv, env=None, folder=None):
        reply = queue.Queue()
        self.wishes.put((name, [str(a) for a in argv], {**os.environ, **(env or {})}, folder, reply))
        program = reply.get()
        if isinstance(program, Exception):
            raise program
        with self.lock:
            self.running.append(program)
        return program

    def stop(self, program, grace=5.0):
        self.signal(program, signal.SIGTERM)
        try:
            program.wait(grace)
        except subprocess.TimeoutExpired:
            pass
        self.signal(program, signal.SIGKILL)  # also what is left of the group
        program.wait()
        with self.lock:
            if program in self.running:
                self.running.remove(program)

    @staticmethod
    def signal(program, number):
        try:
            os.killpg(program.pid, number)
        except ProcessLookupError:
            pass

    def stop_all(self):
        with self.lock:
            programs = self.running[::-1]
        for program in programs:
            self.signal(program, signal.SIGTERM)
        for program in programs:
            self.stop(program)
