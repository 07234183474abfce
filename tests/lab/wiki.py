"""The wiki: its trees, and a MariaDB of its own that holds it.

The first time it is installed, filled and kept as a cold copy under build/lab;
later runs start from that copy.
"""
import glob
import hashlib
import json
import os
import secrets
import shutil
import subprocess

from procs import wait_port, free_port

PAGES = 40
EDITORS = 3
HERE = os.path.dirname(os.path.abspath(__file__))

MARIADB = '''
[mariadbd]
datadir={data}
socket={sock}
pid-file={run}/db.pid
port={port}
bind-address=127.0.0.1
skip-name-resolve
skip-log-bin
performance-schema=OFF
innodb-buffer-pool-size=128M
innodb-log-file-size=16M
innodb-flush-log-at-trx-commit=2
tmpdir={run}
'''

PAGE = '''This is page {n} of the lab's wiki.

{text}

== Links ==
* [[Page {a}]]
* [[Page {b}]]
* [[Sandbox {n}]]

== Table ==
{{| class="wikitable"
! number !! square
|-
| {n} || {square}
|}}
[[Category:Group {group}]]
'''


class Wiki:
    def __init__(self, lab_dir, run, procs):
        self.lab_dir, self.run, self.procs = lab_dir, run, procs
        with open(os.path.join(lab_dir, 'versions')) as f:
            self.blue, self.green = f.read().split()
        self.port, self.server = free_port(), 'http://127.0.0.1'
        self.sock = os.path.join(run, 'db.sock')
        self.secret = {}
        for version in {self.blue, self.green}:
            shutil.copyfile(os.path.join(HERE, 'LocalSettings.php'), os.path.join(self.tree(version), 'LocalSettings.php'))

    def tree(self, version):
        path = os.path.join(self.lab_dir, 'mw-' + version)
        return path if os.path.isdir(path) else None

    def environment(self, cache):
        return {'LAB_SERVER': self.server, 'LAB_DBSERVER': f'127.0.0.1:{self.port}', 'LAB_DBPASS': self.secret['db'],
                'LAB_SECRET': self.secret['key'], 'LAB_CACHEDIR': cache}

    # --- the database --------------------------------------------------------

    def cold_copy(self):
        """Where the installed wiki is kept: a name that changes with all it is made of."""
        digest = hashlib.sha256(f'{self.blue} {self.green} {self.mariadb_version()}'.encode())
        for name in ('wiki.py', 'LocalSettings.php'):
            with open(os.path.join(HERE, name), 'rb') as f:
                digest.update(f.read())
        return os.path.join(self.lab_dir, 'wiki-' + digest.hexdigest()[:16])

    @staticmethod
    def mariadb_version():
        return subprocess.run(['mariadbd', '--version'], capture_output=True, text=True, check=True).stdout

    def start(self, say=lambda text: None):
        cold = self.cold_copy()
        if not os.path.exists(os.path.join(cold, 'secret.json')):
            say('installing MediaWiki ' + self.blue)
            self.install(cold)
        with open(os.path.join(cold, 'secret.json')) as f:
            self.secret = json.load(f)
        data = os.path.join(self.run, 'data')
        subprocess.run(['cp', '-a', '--reflink=auto', os.path.join(cold, 'data'), data], check=True)
        self.mariadbd(data)

    def mariadbd(self, data):
        conf = os.path.join(self.run, 'my.cnf')
        with open(conf, 'w') as f:
            f.write(MARIADB.format(data=data, sock=self.sock, run=self.run, port=self.port))
        argv = ['mariadbd', f'--defaults-file={conf}']
        if os.getuid() == 0:
            argv.append('--user=root')
        self.program = self.procs.start('mariadb', argv)
        if not wait_port('127.0.0.1', self.port, 60, self.program):
            raise RuntimeError('MariaDB did not start: see mariadb.log')

    def sql(self, text, database=''):
        out = subprocess.run(['mariadb', '--no-defaults', '-uroot', '--socket=' + self.sock, '-N', '-B', database or 'mysql'],
                             input=text, capture_output=True, text=True)
        if out.returncode:
            raise RuntimeError('SQL failed: ' + out.stderr.strip())
        return [line.split('\t') for line in out.stdout.splitlines()]

    # --- once ------------------------------------------------------------------

    def install(self, cold):
        for old in glob.glob(os.path.join(self.lab_dir, 'wiki-*')):
            shutil.rmtree(old)
        os.makedirs(cold)
        data = os.path.join(cold, 'data')
        self.secret = {'db': secrets.token_hex(16), 'key': secrets.token_hex(32), 'admin': 'pw' + secrets.token_hex(12),
                       'editors': {f'Editor{i}': 'pw' + secrets.token_hex(12) for i in range(1, EDITORS + 1)}}
        log = os.path.join(self.procs.log_dir, 'install.log')
        with open(log, 'w') as out:
            self.install_into(data, out)
        with open(os.open(os.path.join(cold, 'secret.json'), os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), 'w') as f:
            json.dump(self.secret, f)

    def install_into(self, data, out):
        user = 'root' if os.getuid() == 0 else os.environ.get('USER') or subprocess.getoutput('id -un')
        done = subprocess.run(  # --force: the machine's own name need not resolve
            ['mariadb-install-db', '--no-defaults', '--force', '--skip-name-resolve', '--user=' + user, '--datadir=' + data,
             '--auth-root-authentication-method=normal', '--skip-test-db', '--innodb-log-file-size=16M'], stdout=out, stderr=out)
        if done.returncode:
            raise RuntimeError(f'MariaDB could not be installed: see {out.name}')
        self.mariadbd(data)
        self.sql(f"CREATE USER mwlab@'127.0.0.1' IDENTIFIED BY '{self.secret['db']}';"
                 "GRANT ALL ON labwiki.* TO mwlab@'127.0.0.1';")
        self.install_wiki(out)
        self.procs.stop(self.program, 30)

    def install_wiki(self, out):
        tree, settings = self.tree(self.blue), os.path.join(self.run, 'LocalSettings.php')
        mine = os.path.join(tree, 'LocalSettings.php')
        os.remove(mine)  # the installer refuses to run beside one
        self.php(out, 'install', '--dbserver', f'127.0.0.1:{self.port}', '--dbname', 'labwiki', '--dbuser', 'mwlab',
                 '--dbpass', self.secret['db'], '--installdbuser', 'mwlab', '--installdbpass', self.secret['db'],
                 '--server', self.server, '--scriptpath', '', '--pass', self.secret['admin'], '--confpath', self.run,
                 '--skins', 'Vector', 'Lab Wiki', 'Admin')
        if not os.path.exists(settings):  # it may fail with status 0
            raise RuntimeError(f'the installer of MediaWiki failed: see {out.name}')
        os.remove(settings)
        shutil.copyfile(os.path.join(HERE, 'LocalSettings.php'), mine)
        self.php(out, 'importTextFiles', '--user', 'Admin', '--overwrite', *self.write_pages())
        for name, password in self.secret['editors'].items():
            self.php(out, 'createAndPromote', name, password)
        self.php(out, 'runJobs')
        self.php(out, 'initSiteStats', '--update')

    def write_pages(self):
        folder = os.path.join(self.run, 'pages')
        os.makedirs(folder)
        for n in range(1, PAGES + 1):
            text = PAGE.format(n=n, a=n % PAGES + 1, b=(n * 7) % PAGES + 1, square=n * n, group=n % 5,
                               text='Some words that fill the page. ' * (5 + n % 20))
            with open(os.path.join(folder, f'Page {n}.txt'), 'w') as f:
                f.write(text)
        for i in range(1, EDITORS + 1):
            with open(os.path.join(folder, f'Sandbox {i}.txt'), 'w') as f:
                f.write('An empty sandbox.\n')
        return sorted(glob.glob(os.path.join(folder, '*.txt')))

    def php(self, out, script, *args):
        out.write(f'--- {script}\n')
        out.flush()
        cache = os.path.join(self.run, 'cache-cli')
        os.makedirs(cache, exist_ok=True)
        folder = os.path.join(self.tree(self.blue), 'maintenance')
        runner = [os.path.join(folder, 'run.php'), script]  # since 1.40
        if not os.path.exists(runner[0]):
            runner = [os.path.join(folder, script + '.php')]
        done = subprocess.run(['php', *runner, *args], stdout=out, stderr=out, env={**os.environ, **self.environment(cache)},
                              stdin=subprocess.DEVNULL)
        if done.returncode:
            raise RuntimeError(f'{script} of MediaWiki failed: see {out.name}')

    # --- the truth ---------------------------------------------------------------

    def summaries(self):
        """The edit summaries that are in the revision table: which edits were kept."""
        rows = self.sql('SELECT CONVERT(comment_text USING utf8mb4) FROM revision '
                        "JOIN comment ON comment_id = rev_comment_id WHERE comment_text LIKE 'lab edit %';", 'labwiki')
        return {row[0] for row in rows}
