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

import mariadb

PAGES = 40
EDITORS = 3
HERE = os.path.dirname(os.path.abspath(__file__))

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
    """versions: the file that names blue's and green's release; options: of its MariaDB."""
    versions, options = 'versions', 'skip-log-bin\n'

    def __init__(self, lab_dir, run, procs):
        self.lab_dir, self.run, self.procs = lab_dir, run, procs
        with open(os.path.join(lab_dir, self.versions)) as f:
            self.blue, self.green = f.read().split()
        self.server = 'http://127.0.0.1'
        self.db = mariadb.Server(procs, run)
        self.secret = {}
        for version in {self.blue, self.green}:
            shutil.copyfile(os.path.join(HERE, 'LocalSettings.php'), os.path.join(self.tree(version), 'LocalSettings.php'))

    def tree(self, version):
        path = os.path.join(self.lab_dir, 'mw-' + version)
        return path if os.path.isdir(path) else None

    def environment(self, cache):
        """What every container of a wiki gets, whatever its task definition says besides."""
        return {'LAB_SERVER': self.server, 'LAB_DBSERVER': f'127.0.0.1:{self.db.port}', 'LAB_DBPASS': self.secret['db'],
                'LAB_SECRET': self.secret['key'], 'LAB_CACHEDIR': cache}

    def container(self):
        """More of blue's container definition."""
        return {}

    # --- the database --------------------------------------------------------

    def cold_copy(self):
        """Where the installed wiki is kept: a name that changes with all it is made of."""
        digest = hashlib.sha256(f'{self.blue} {mariadb.version()}'.encode())
        for name in ('wiki.py', 'mariadb.py', 'LocalSettings.php'):
            with open(os.path.join(HERE, name), 'rb') as f:
                digest.update(f.read())
        return os.path.join(self.lab_dir, f'wiki-{self.blue}-{digest.hexdigest()[:16]}')

    def start(self, say=lambda text: None):
        cold = self.cold_copy()
        if not os.path.exists(os.path.join(cold, 'secret.json')):
            say('installing MediaWiki ' + self.blue)
            self.install(cold)
        with open(os.path.join(cold, 'secret.json')) as f:
            self.secret = json.load(f)
        self.db.options = self.options
        self.db.start_from(os.path.join(cold, 'data'))

    # --- once ------------------------------------------------------------------

    def install(self, cold):
        for old in glob.glob(os.path.join(self.lab_dir, f'wiki-{self.blue}-*')):
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
        mariadb.install(data, out)
        self.db.start(data)
        self.db.sql(f"CREATE USER mwlab@'127.0.0.1' IDENTIFIED BY '{self.secret['db']}';"
                    "GRANT ALL ON labwiki.* TO mwlab@'127.0.0.1';")
        self.install_wiki(out)
        self.db.stop()

    def install_wiki(self, out):
        tree, settings = self.tree(self.blue), os.path.join(self.run, 'LocalSettings.php')
        mine = os.path.join(tree, 'LocalSettings.php')
        os.remove(mine)  # the installer refuses to run beside one
        self.php(out, 'install', '--dbserver', f'127.0.0.1:{self.db.port}', '--dbname', 'labwiki', '--dbuser', 'mwlab',
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
        done = subprocess.run(['php', *runner, *args], stdout=out, stderr=out, env={**os.environ, **Wiki.environment(self, cache)},
                              stdin=subprocess.DEVNULL)
        if done.returncode:
            raise RuntimeError(f'{script} of MediaWiki failed: see {out.name}')

    # --- the truth ---------------------------------------------------------------

    def summaries(self, db=None):
        """{edit summary: how often} of the revision table: which edits were kept, and how often."""
        db = db or self.db
        old = db.sql("SHOW TABLES LIKE 'revision_comment_temp';", 'labwiki')  # up to 1.39 comments hang on a table between
        way = ('revision_comment_temp ON revcomment_rev = rev_id JOIN comment ON comment_id = revcomment_comment_id' if old else
               'comment ON comment_id = rev_comment_id')
        rows = db.sql(f"SELECT CONVERT(comment_text USING utf8mb4), COUNT(*) FROM revision JOIN {way} "
                      "WHERE comment_text LIKE 'lab edit %' GROUP BY 1;", 'labwiki')
        return {row[0]: int(row[1]) for row in rows}
