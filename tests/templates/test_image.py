"""The image's setup and settings with real MediaWiki and a real MariaDB on this
machine: what the Dockerfile runs, what the setup task runs, what a colour serves.
Without TLS and without a cache server, which MediaWiki takes for an empty one."""
import glob
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

from resolve import ROOT, TEMPLATES

IMAGE = os.path.join(TEMPLATES, 'image')
SECRETS = {'MW_DB_PASSWORD': 'wiki-password', 'MW_MASTER_PASSWORD': 'master-password', 'MW_SECRET_KEY': 'k' * 64, 'MW_ADMIN_PASSWORD': 'admin-password-1'}
db = env = folder = None


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def until(what, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return
        time.sleep(0.1)
    raise AssertionError('%s: not within %d s' % (what.__name__, seconds))


def answers(port):
    def is_up():
        with socket.socket() as s:
            return s.connect_ex(('127.0.0.1', port)) == 0
    return is_up


def end(process):
    process.terminate()
    process.wait(30)


def start_database(port):
    data, sock = os.path.join(folder, 'db'), os.path.join(folder, 's')
    user = ['--user=root'] if os.getuid() == 0 else []
    subprocess.run(['mariadb-install-db', '--no-defaults', '--datadir=' + data, '--auth-root-authentication-method=normal', '--skip-test-db', *user],
                   check=True, capture_output=True)
    process = subprocess.Popen(['mariadbd', '--no-defaults', '--datadir=' + data, '--socket=' + sock, '--port=%d' % port, '--bind-address=127.0.0.1,127.0.0.2',
                                '--skip-name-resolve', '--innodb-flush-log-at-trx-commit=0', *user], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    unittest.addModuleCleanup(end, process)
    until(answers(port))
    sql = "DELETE FROM mysql.user WHERE User=''; FLUSH PRIVILEGES; CREATE USER 'master'@'%%' IDENTIFIED BY '%s'; GRANT ALL ON *.* TO 'master'@'%%' WITH GRANT OPTION"
    subprocess.run(['mariadb', '--no-defaults', '-S', sock, '-u', 'root', '-e', sql % SECRETS['MW_MASTER_PASSWORD']], check=True)


def setUpModule():
    global env, folder
    subprocess.run([os.path.join(ROOT, 'tests/lab/mediawiki'), os.path.join(ROOT, 'build/lab')], check=True, stdin=subprocess.DEVNULL)
    folder = tempfile.mkdtemp(prefix='image-')
    unittest.addModuleCleanup(shutil.rmtree, folder, ignore_errors=True)
    for name in ('l10n', 'cache', 'control'):
        os.mkdir(os.path.join(folder, name))
    port = free_port()
    start_database(port)
    tree = sorted(glob.glob(os.path.join(ROOT, 'build/lab/mw-1.43.*')))[-1]
    env = {'PATH': os.environ['PATH'], 'MW_INSTALL_PATH': tree, 'MW_CONFIG_FILE': os.path.join(IMAGE, 'LocalSettings.php'), 'MW_DB_TLS': 'off',
           'MW_DB_WRITER': '127.0.0.1', 'MW_DB_READER': '127.0.0.2', 'MW_DB_PORT': str(port), 'MW_DB_USER': 'wikiuser', 'MW_MASTER_USER': 'master',
           'MW_ADMIN_USER': 'Admin', 'MW_HOST': 'wiki.example.org', 'MW_ENV': 'test', 'MW_CACHE_ENGINE': 'memcached', 'MW_CACHE': '127.0.0.1:1',
           'MW_L10N': os.path.join(folder, 'l10n'), 'MW_CACHE_DIRECTORY': os.path.join(folder, 'cache'),
           'MW_READ_ONLY_FILE': os.path.join(folder, 'control', 'read-only'), **SECRETS}


def php(*argv, **more):
    return subprocess.run(['php', *argv], env={**env, **more}, capture_output=True, text=True, check=False, cwd=folder)


def setup(**more):
    return php(os.path.join(IMAGE, 'setup.php'), **more)


class Image(unittest.TestCase):
    def test_1_is_built_without_secrets(self):
        with open(os.path.join(IMAGE, 'Dockerfile'), encoding='utf-8') as f:
            self.assertIn('MW_BUILD=1 php maintenance/run.php rebuildLocalisationCache --no-database --skip-message-purge', f.read())
        bare = {k: '' for k in env if k.startswith('MW_') and k not in ('MW_INSTALL_PATH', 'MW_CONFIG_FILE', 'MW_L10N', 'MW_CACHE_DIRECTORY')}
        run = php(env['MW_INSTALL_PATH'] + '/maintenance/run.php', 'rebuildLocalisationCache', '--no-database', '--skip-message-purge', '--lang=en',
                  MW_BUILD='1', **bare)
        self.assertEqual(run.returncode, 0, run.stdout[-800:] + run.stderr[-800:])
        self.assertTrue(os.listdir(env['MW_L10N']))

    def test_2_setup_from_nothing_and_once_more(self):
        for _ in range(2):
            run = setup()
            self.assertEqual((run.returncode, run.stdout.rsplit('\n', 2)[-2]), (0, 'setup: done'), run.stdout[-800:] + run.stderr[-800:])
            for secret in SECRETS.values():
                self.assertNotIn(secret, run.stdout + run.stderr)

    def test_3_setup_that_cannot_says_why_and_no_secret(self):
        run = setup(MW_MASTER_PASSWORD='another-password')
        self.assertEqual(run.returncode, 1)
        self.assertIn('setup: Access denied', run.stderr)
        self.assertNotIn('another-password', run.stdout + run.stderr)
        self.assertIn('the environment lacks MW_ADMIN_USER', setup(MW_ADMIN_USER='', MW_DB_NAME='otherdb').stderr)

    def ask(self, path, **headers):
        request = urllib.request.Request('http://127.0.0.1:%d%s' % (self.port, path), headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    def general(self):
        return json.loads(self.ask('/api.php?action=query&meta=siteinfo&format=json&formatversion=2')[1])['query']['general']

    def serve(self, **more):
        self.port = free_port()
        process = subprocess.Popen(['php', '-S', '127.0.0.1:%d' % self.port, '-t', env['MW_INSTALL_PATH']], env={**env, **more}, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(end, process)
        until(answers(self.port))

    def test_4_serves_and_knows_its_reader(self):
        self.serve()
        self.assertEqual(self.general()['server'], 'https://wiki.example.org')
        status, page = self.ask('/index.php?title=Main_Page')
        self.assertEqual(status, 200)
        self.assertIn('MediaWiki', page)
        chain = {'X-Forwarded-For': '192.0.2.66, 203.0.113.5'}
        user = json.loads(self.ask('/api.php?action=query&meta=userinfo&format=json', **chain)[1])['query']['userinfo']
        self.assertEqual(user['name'], '203.0.113.5')

    def test_5_the_lock_freezes_at_once(self):
        self.serve()
        self.assertFalse(self.general()['readonly'])
        with open(env['MW_READ_ONLY_FILE'], 'w', encoding='utf-8') as f:
            f.write('upgrade in progress')
        self.assertEqual(self.general()['readonlyreason'], 'upgrade in progress')
        os.remove(env['MW_READ_ONLY_FILE'])
        self.assertFalse(self.general()['readonly'])

    def test_6_a_secret_that_is_missing_serves_nothing(self):
        self.serve(MW_SECRET_KEY='')
        self.assertEqual(self.ask('/index.php?title=Main_Page')[0], 500)

