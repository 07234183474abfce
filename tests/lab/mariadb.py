"""A MariaDB of the lab's own: its configuration, its process, and a way to ask it."""
import os
import shutil
import subprocess

from procs import free_port, wait_port

CONFIG = '''
[mariadbd]
datadir={data}
socket={sock}
pid-file={run}/{name}.pid
port={port}
bind-address=127.0.0.1
skip-name-resolve
performance-schema=OFF
innodb-buffer-pool-size=128M
innodb-log-file-size=16M
innodb-flush-log-at-trx-commit=2
tmpdir={run}
'''


def version():
    return subprocess.run(['mariadbd', '--version'], capture_output=True, text=True, check=True).stdout


class Server:
    """options: more lines of its configuration, by default the one that keeps no binary log."""

    def __init__(self, procs, run, name='db', options='skip-log-bin\n'):
        self.procs, self.run, self.name, self.options = procs, run, name, options
        self.port, self.sock, self.program = free_port(), os.path.join(run, name + '.sock'), None

    def start(self, data):
        conf = os.path.join(self.run, self.name + '.cnf')
        with open(conf, 'w') as f:
            f.write(CONFIG.format(data=data, sock=self.sock, run=self.run, name=self.name, port=self.port) + self.options)
        argv = ['mariadbd', f'--defaults-file={conf}']
        if os.getuid() == 0:
            argv.append('--user=root')
        log = 'mariadb' if self.name == 'db' else 'mariadb-' + self.name
        self.program = self.procs.start(log, argv)
        if not wait_port('127.0.0.1', self.port, 60, self.program):
            raise RuntimeError(f'MariaDB did not start: see {log}.log')

    def start_from(self, cold):
        """On a copy of that data."""
        data = os.path.join(self.run, 'data' if self.name == 'db' else 'data-' + self.name)
        subprocess.run(['cp', '-a', '--reflink=auto', cold, data], check=True)
        self.start(data)

    def stop(self):
        self.procs.stop(self.program, 30)

    def remove(self):
        """Ended, and its data with it."""
        self.stop()
        shutil.rmtree(os.path.join(self.run, 'data-' + self.name), ignore_errors=True)

    def sql(self, text, database=''):
        out = subprocess.run(['mariadb', '--no-defaults', '-uroot', '--socket=' + self.sock, '-N', '-B', database or 'mysql'],
                             input=text, capture_output=True, text=True)
        if out.returncode:
            raise RuntimeError('SQL failed: ' + out.stderr.strip())
        return [line.split('\t') for line in out.stdout.splitlines()]


def install(data, out):
    """An empty data folder; `out` is an open log."""
    user = 'root' if os.getuid() == 0 else os.environ.get('USER') or subprocess.getoutput('id -un')
    done = subprocess.run(  # --force: the machine's own name need not resolve
        ['mariadb-install-db', '--no-defaults', '--force', '--skip-name-resolve', '--user=' + user, '--datadir=' + data,
         '--auth-root-authentication-method=normal', '--skip-test-db', '--innodb-log-file-size=16M'], stdout=out, stderr=out)
    if done.returncode:
        raise RuntimeError(f'MariaDB could not be installed: see {out.name}')
