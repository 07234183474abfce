"""Real wikis for the schema gate: one MariaDB, a database for each installation
or copy, and PHP's own web server for each (code, database) that is asked.

Trees are hard links to those of the lab, so that its settings files are not in
the way; one LocalSettings.php for all versions reads the environment.
"""
import http.cookiejar
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, 'tests', 'lab'))
import mariadb  # noqa: E402
from procs import Procs, free_port, wait_port  # noqa: E402

CUTOVER = os.environ.get('CUTOVER', os.path.join(TOP, 'build', 'cutover'))
ADMIN, EDITOR = 'Admin', 'Editor'
SETTINGS = r'''<?php
error_reporting( 0 );
ini_set( 'display_errors', '0' ); // old releases on a new PHP
$wgSitename = 'Lab Wiki';
$wgScriptPath = '';
$wgResourceBasePath = '';
$wgUsePathInfo = true;
$wgServer = getenv( 'WIKI_SERVER' ) ?: 'http://127.0.0.1';
$wgDBtype = 'mysql';
$wgDBserver = getenv( 'WIKI_DBSERVER' );
$wgDBname = getenv( 'WIKI_DB' );
$wgDBuser = 'mw';
$wgDBpassword = getenv( 'WIKI_DBPASS' );
$wgDBprefix = getenv( 'WIKI_PREFIX' ) ?: '';
$wgDBTableOptions = 'ENGINE=InnoDB, DEFAULT CHARSET=binary';
$wgSecretKey = 'only for tests of this machine only for tests of this machine 01';
$wgLanguageCode = 'en';
$wgLocaltimezone = 'UTC';
// Nothing may answer for the database: no cache but the sessions'.
$wgMainCacheType = CACHE_NONE;
$wgParserCacheType = CACHE_NONE;
$wgMessageCacheType = CACHE_NONE;
$wgSessionCacheType = CACHE_DB;
$wgCacheDirectory = getenv( 'WIKI_CACHE' );
$wgLocalisationCacheConf['store'] = 'array';
$wgTmpDirectory = $wgCacheDirectory;
$wgUseDatabaseMessages = false;
$wgJobRunRate = 0;
$wgPingback = false;
$wgShowExceptionDetails = true;
$wgRateLimits = [];
$wgPasswordAttemptThrottle = [];
$wgPasswordConfig['null'] = [ 'class' => InvalidPassword::class ];
$wgEnableUploads = false;
$wgMiserMode = false;
'''


class Failed(Exception):
    pass


def run_program(argv, **more):
    done = subprocess.run(argv, capture_output=True, text=True, errors='replace', **more)
    if done.returncode:
        raise Failed(f'{argv[0]} {argv[1] if len(argv) > 1 else ""}: status {done.returncode}: {(done.stdout + done.stderr)[-600:]}')
    return done.stdout


def releases(lab):
    """{'1.39': tree, ...} of what has been fetched; the newest of each branch."""
    found = {}
    for name in os.listdir(lab):
        tree = os.path.join(lab, name)
        if name.startswith('mw-') and os.path.isdir(os.path.join(tree, 'maintenance')):
            numbers = [int(n) for n in name[3:].split('.')]
            branch = '.'.join(str(n) for n in numbers[:2])
            if branch not in found or numbers > found[branch][0]:
                found[branch] = (numbers, tree)
    return {branch: tree for branch, (_, tree) in sorted(found.items(), key=lambda item: item[1][0])}


class MySQL:
    """A server of the other line, as mariadb.Server is one of this."""

    def __init__(self, procs, run, mysqld):
        self.procs, self.mysqld = procs, mysqld
        self.port, self.sock = free_port(), os.path.join(run, 'mysql.sock')
        data = os.path.join(run, 'mysql-data')
        user = ['--user=root'] if os.getuid() == 0 else []
        run_program([mysqld, *user, '--initialize-insecure', '--datadir=' + data])
        program = procs.start('mysqld', [mysqld, *user, '--datadir=' + data, '--socket=' + self.sock, f'--port={self.port}',
                                         '--bind-address=127.0.0.1', '--skip-log-bin', '--innodb-buffer-pool-size=128M',
                                         '--performance-schema=OFF', '--pid-file=' + os.path.join(run, 'mysqld.pid')])
        if not wait_port('127.0.0.1', self.port, 60, program):
            raise Failed('MySQL did not start: see mysqld.log')

    def sql(self, text, database='mysql'):
        out = run_program(['mariadb', '--no-defaults', '-uroot', '--socket=' + self.sock, '-N', '-B', database], input=text)
        return [line.split('\t') for line in out.splitlines()]


class Lab:
    """options: more lines for MariaDB; mysqld: a MySQL server's program instead of it."""

    def __init__(self, options='skip-log-bin\n', mysqld=None):
        base = os.path.join(TOP, 'build', 'schema')
        os.makedirs(base, exist_ok=True)
        for old in os.listdir(base):  # what a killed run left
            if old.startswith('run-') and not os.path.exists('/proc/' + old.split('-')[1]):
                shutil.rmtree(os.path.join(base, old), ignore_errors=True)
        self.run = tempfile.mkdtemp(prefix=f'run-{os.getpid()}-', dir=base)
        os.chmod(self.run, 0o755)
        self.procs = Procs(os.path.join(self.run, 'log'))
        self.trees, self.password, self.wikis = {}, secrets.token_hex(16), {}
        self.db = MySQL(self.procs, self.run, mysqld) if mysqld else self.mariadb(options)
        self.db.sql(f"CREATE USER mw@'127.0.0.1' IDENTIFIED BY '{self.password}'; GRANT ALL ON `mw%`.* TO mw@'127.0.0.1';")
        with open(os.open(os.path.join(self.run, 'password'), os.O_CREAT | os.O_WRONLY, 0o600), 'w') as f:
            f.write(self.password)

    def mariadb(self, options):
        data = os.path.join(self.run, 'data')
        with open(os.path.join(self.run, 'log', 'mariadb-install.log'), 'w') as out:
            mariadb.install(data, out)
        server = mariadb.Server(self.procs, self.run, options=options)
        server.start(data)
        return server

    def close(self):
        self.procs.stop_all()
        shutil.rmtree(self.run, ignore_errors=True)

    def tree(self, source):
        """Our own copy of a release, without settings."""
        if source not in self.trees:
            copy = os.path.join(self.run, os.path.basename(source))
            run_program(['cp', '-al', source, copy])
            if os.path.exists(os.path.join(copy, 'LocalSettings.php')):
                os.remove(os.path.join(copy, 'LocalSettings.php'))
            self.trees[source] = copy
        return self.trees[source]

    def env(self, source, database, prefix='', port=0):
        cache = os.path.join(self.run, f'cache-{os.path.basename(source)}-{database}')
        os.makedirs(cache, exist_ok=True)
        return {**os.environ, 'WIKI_DBSERVER': f'127.0.0.1:{self.db.port}', 'WIKI_DB': database, 'WIKI_DBPASS': self.password,
                'WIKI_CACHE': cache, 'WIKI_PREFIX': prefix, 'WIKI_SERVER': f'http://127.0.0.1:{port}'}

    def php(self, source, database, script, *args, prefix='', check=True):
        folder = os.path.join(self.tree(source), 'maintenance')
        runner = [os.path.join(folder, 'run.php'), script]
        if not os.path.exists(runner[0]):
            runner = [os.path.join(folder, script + '.php')]
        argv = ['php', '-d', 'error_reporting=0', *runner, *args]
        if check:
            return run_program(argv, env=self.env(source, database, prefix), stdin=subprocess.DEVNULL)
        return subprocess.run(argv, env=self.env(source, database, prefix), capture_output=True, stdin=subprocess.DEVNULL).returncode

    def install(self, source, database, prefix=''):
        """A fresh installation, as its installer makes it."""
        tree = self.tree(source)
        settings, out = os.path.join(tree, 'LocalSettings.php'), os.path.join(self.run, 'conf-' + database)
        os.makedirs(out)
        if os.path.exists(settings):
            os.remove(settings)
        self.db.sql(f'CREATE DATABASE {database}')
        self.php(source, database, 'install', '--dbserver', f'127.0.0.1:{self.db.port}', '--dbname', database, '--dbuser', 'mw',
                 '--dbpass', self.password, '--installdbuser', 'mw', '--installdbpass', self.password, '--dbprefix', prefix,
                 '--server', 'http://127.0.0.1', '--scriptpath', '', '--pass', 'pw' + self.password, '--confpath', out,
                 '--skins', 'Vector', 'Lab Wiki', ADMIN)
        if not os.path.exists(os.path.join(out, 'LocalSettings.php')):  # the installer may fail with status 0
            raise Failed(f'MediaWiki could not be installed into {database}')
        with open(settings, 'w') as f:
            f.write(SETTINGS + ("wfLoadSkin( 'Vector' );\n"))

    def update(self, source, database):
        return self.php(source, database, 'update', '--quick', check=False)

    def copy(self, database, to):
        self.db.sql(f'DROP DATABASE IF EXISTS {to}; CREATE DATABASE {to}')
        dump = ['mariadb-dump', '--no-defaults', '-uroot', '--socket=' + self.db.sock, database]
        load = ['mariadb', '--no-defaults', '-uroot', '--socket=' + self.db.sock, to]
        with subprocess.Popen(dump, stdout=subprocess.PIPE) as p:
            subprocess.run(load, stdin=p.stdout, check=True)
        if p.returncode:
            raise Failed(f'{database} could not be copied')

    def serve(self, source, database):
        port = free_port()
        tree = self.tree(source)
        name = f'php-{os.path.basename(source)}-{database}'
        env = self.env(source, database, port=port)  # one process: workers would outlive a killed test
        program = self.procs.start(name, ['php', '-d', 'error_reporting=0', '-d', 'display_errors=0', '-S', f'127.0.0.1:{port}', '-t', tree,
                                          os.path.join(HERE, 'router.php')], env, tree)
        if not wait_port('127.0.0.1', port, 20, program):
            raise Failed('php does not serve: see ' + name)
        return Site(f'http://127.0.0.1:{port}', self.password, lambda: self.procs.stop(program))

    # --- what the gate says --------------------------------------------------------

    def cutover(self, *args, ok=(0,)):
        done = subprocess.run([CUTOVER, 'schema', *args], capture_output=True, text=True)
        if done.returncode not in ok:
            raise Failed(f'cutover schema {" ".join(args)}: status {done.returncode}: {done.stderr or done.stdout}')
        return done.stdout

    def server_args(self, prefix=''):
        return ['--server', f'mw@127.0.0.1:{self.db.port}', '--password-file', os.path.join(self.run, 'password'),
                *(['--prefix', prefix] if prefix else [])]

    def snapshot(self, database, prefix=''):
        path = os.path.join(self.run, f'snapshot-{database}.json')
        self.cutover('snapshot', database, '--out', path, *self.server_args(prefix))
        return path

    def manifest(self, branch, source):
        """A tree or a snapshot, as a file."""
        if not os.path.isdir(source):
            return source
        path = os.path.join(self.run, f'manifest-{branch}.json')
        if not os.path.exists(path):
            self.cutover('expect', source, '--out', path)
        return path

    def write(self, name, doc):
        path = os.path.join(self.run, name + '.json')
        with open(path, 'w') as f:
            json.dump(doc, f)
        return path

    def differences(self, want, have):
        return json.loads(self.cutover('diff', want, have, '-o', 'json', ok=(0, 5)))

    def gate(self, want, database):
        """What `schema check` says of one version on a database: (fits, document)."""
        out = self.cutover('check', database, '--blue', want, '--role', 'any', '--min-connections', '1', '-o', 'json',
                           *self.server_args(), ok=(0, 5))
        docs = [json.loads(line) for line in out.splitlines() if line.strip()]
        return docs


# --- asking a wiki -----------------------------------------------------------------------


class Site:
    def __init__(self, url, password, stop):
        self.url, self.password, self.stop = url, password, stop
        self.forget()

    def forget(self):
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        self.token = None

    def get(self, path, data=None):
        body = urllib.parse.urlencode(data).encode() if data else None
        try:
            with self.opener.open(self.url + path, body, timeout=20) as r:
                return r.status, r.read().decode(errors='replace')
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode(errors='replace')
        except OSError as e:
            return 0, str(e)

    def api(self, data=None, **query):
        query = {'format': 'json', 'formatversion': '2', **query}
        status, text = self.get('/api.php?' + urllib.parse.urlencode(query), data)
        try:
            doc = json.loads(text)
        except ValueError:
            raise Failed(f'api {query.get("action")}: HTTP {status}, no JSON: {plain(text)}') from None
        if 'error' in doc:
            raise Failed(f'api {query.get("action")}: {doc["error"].get("code")}: {plain(doc["error"].get("info", ""))}')
        return doc

    def page(self, path, *words):
        status, text = self.get(path)
        if status != 200:
            raise Failed(f'{path}: HTTP {status}: {plain(text)}')
        for word in words:
            if word not in text:
                raise Failed(f'{path}: without "{word}"')
        return text

    def login(self):
        self.forget()
        token = self.api(action='query', meta='tokens', type='login')['query']['tokens']['logintoken']
        done = self.api({'lgname': ADMIN, 'lgpassword': 'pw' + self.password, 'lgtoken': token}, action='login')
        if done.get('login', {}).get('result') != 'Success':
            raise Failed(f'login: {done}')
        self.token = self.api(action='query', meta='tokens')['query']['tokens']['csrftoken']

    def write(self, action, **data):
        if not self.token:
            raise Failed(f'{action}: not logged in')
        done = self.api({'token': self.token, **data}, action=action)
        if action == 'edit' and done.get('edit', {}).get('result') != 'Success':
            raise Failed(f'edit: {done}')
        return done


def plain(text):
    return ' '.join(text.split())[:300]
