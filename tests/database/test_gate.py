"""cutover schema snapshot and check against a real MariaDB: who is let in, what is seen, what is refused.
Every refusal is a sentence, and nothing but reading is ever sent (test_zz_nothing_was_touched)."""
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import ddl
import server

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CUTOVER = os.environ.get('CUTOVER', os.path.join(ROOT, 'build', 'asan', 'cutover'))
PASSWORD, LONG = 'correct-horse', 120
HERE = {}


def setUpModule():
    HERE['servers'] = s = server.Server()
    unittest.addModuleCleanup(s.close)
    HERE['main'] = m = s.start('main', *s.tls(), '--log-bin=main', '--server-id=1', '--binlog-format=ROW',
                               '--general-log=1', '--general-log-file=' + s.at('general.log'))
    m.sql(f"CREATE USER cutover@'%' IDENTIFIED BY '{PASSWORD}'; "
          "GRANT SELECT, PROCESS, SLAVE MONITOR, BINLOG MONITOR ON *.* TO cutover@'%'")
    server.make_wiki(m, 'expected')
    HERE['manifest'] = s.at('expected.json')
    text = subprocess.run([CUTOVER, 'schema', 'snapshot', 'expected', '--server', 'root@' + m.sock],
                          capture_output=True, text=True, check=True).stdout
    with open(HERE['manifest'], 'w', encoding='utf-8') as f:
        json.dump({**json.loads(text), 'version': '1.43.11'}, f)


class Said:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout.decode(), done.stderr.decode()
        self.text = f'exit {self.code}\n{self.out}\n{self.err}'
        self.docs = [json.loads(line) for line in self.out.splitlines()] if self.out.startswith('{"') else []


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='cutover-gate-')
        self.addCleanup(shutil.rmtree, self.dir, True)
        self.main = HERE['main']
        self.env = {'PATH': '/usr/bin:/bin', 'HOME': self.dir, 'LC_ALL': 'C.UTF-8', 'DB_PASSWORD': PASSWORD,
                    'AWS_ACCESS_KEY_ID': 'AKIDEXAMPLE', 'AWS_SECRET_ACCESS_KEY': 'example', 'AWS_REGION': 'eu-central-1',
                    'AWS_EC2_METADATA_DISABLED': 'true'}

    def cutover(self, *args, **env):
        said = Said(subprocess.run([CUTOVER, 'schema', *args], env={**self.env, **env}, cwd=self.dir, timeout=LONG,
                                   stdin=subprocess.DEVNULL, capture_output=True, check=False))
        self.assertNotIn(PASSWORD, said.text)
        self.assertNotIn('Sanitizer', said.text)
        return said

    def check(self, *args, host='127.0.0.1', port=None, user='cutover', tls=True, versions=('green',), password=True, **env):
        login = ['--server', f'{user}@{host}:{port or self.main.port}']
        if password:
            login += ['--password-env', 'DB_PASSWORD']
        if tls:
            login += ['--ca', HERE['servers'].at('ca.pem')]
        for v in versions:
            login += ['--' + v, HERE['manifest']]
        return self.cutover('check', *login, *args, **env)  # of an option said twice, the last counts

    def refused(self, said, *words, code=5):
        self.assertEqual(said.code, code, said.text)
        for w in words:
            self.assertIn(w, said.text)
        return said

    def wiki(self, name, prefix='', change=''):
        server.make_wiki(self.main, name, prefix)
        self.addCleanup(self.main.sql, f'DROP DATABASE `{name}`')
        if change:
            self.main.sql(change, name)
        return name

    def file(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
        return path


class LettingIn(Case):
    def test_a_wiki_that_fits_is_shared(self):
        said = self.refused(self.check('expected', versions=('blue', 'green')), 'expected: shared.', ', TLS', code=0)
        self.assertIn('0 differences block it', said.out)

    def test_one_version_fits(self):
        self.refused(self.check('expected'), 'expected: fits', code=0)

    def test_nobody_listens(self):
        self.refused(self.check('expected', port=server.free_port()), 'nothing listens there')

    def test_a_name_that_leads_nowhere(self):
        self.refused(self.check('expected', host='db.invalid'), 'cannot be resolved')

    def test_a_wrong_password(self):
        self.refused(self.check('expected', DB_PASSWORD='wrong'), 'the password was refused', 'error 1045')

    def test_no_password_variable(self):
        self.refused(self.check('expected', '--password-env', 'NO_SUCH'), 'NO_SUCH', 'is not set', code=2)

    def test_no_tls(self):
        plain = HERE['servers'].start('plain')
        self.refused(self.check('expected', port=plain.port), 'the server has no TLS', 'nothing secret was sent')

    def test_another_host_name(self):
        self.refused(self.check('expected', host='localhost'), 'another host name', 'nothing secret was sent')

    def test_a_stranger_s_certificate(self):
        said = self.check('expected', '--ca', HERE['servers'].at('stranger.pem'))
        self.refused(said, 'signed by', 'nothing secret was sent')

    def test_a_token_for_who_is_no_iam_user(self):
        said = self.refused(self.check('expected', '--iam', password=False), 'no IAM token', "AWS's authentication plugin")
        self.assertNotIn('X-Amz', said.text)

    def test_a_token_without_credentials(self):
        said = self.check('expected', '--iam', password=False, AWS_ACCESS_KEY_ID='', AWS_SECRET_ACCESS_KEY='')
        self.refused(said, 'making an IAM token', 'credentials')

    def test_a_database_that_is_not_there(self):
        self.refused(self.check('nowhere'), "Unknown database 'nowhere'", code=2)

    def test_postgres_on_that_port(self):
        with socket.socket() as listener:
            listener.bind(('127.0.0.1', 0))
            listener.listen()

            def serve():
                for _ in range(2):  # the library's connection, then ours that asks
                    c, _ = listener.accept()
                    with c:
                        if c.recv(8) == b'\0\0\0\x08\x04\xd2\x16\x2f':
                            c.sendall(b'N')
            threading.Thread(target=serve, daemon=True).start()
            self.refused(self.check('expected', port=listener.getsockname()[1]), 'this is PostgreSQL', code=2)

    def test_the_password_of_secrets_manager(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers['Content-Length']))
                secret = json.dumps({'username': 'cutover', 'password': PASSWORD})
                body = json.dumps({'SecretString': secret}).encode()
                self.send_response(200)
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass
        aws = http.server.HTTPServer(('127.0.0.1', 0), Handler)
        threading.Thread(target=aws.serve_forever, daemon=True).start()
        self.addCleanup(aws.server_close)
        self.addCleanup(aws.shutdown)
        said = self.cutover('check', 'expected', '--server', f'127.0.0.1:{self.main.port}', '--green', HERE['manifest'],
                            '--ca', HERE['servers'].at('ca.pem'), '--secret', 'wiki-db',
                            AWS_ENDPOINT_URL_SECRETS_MANAGER=f'http://127.0.0.1:{aws.server_address[1]}')
        self.refused(said, 'expected: fits', 'cutover@127.0.0.1', code=0)


class LocalSettings(Case):
    def settings(self, *args, text=''):
        return self.cutover('check', *args, '--green', HERE['manifest'], '--settings', self.file('LocalSettings.php', '<?php\n' + text))

    def test_all_of_it(self):
        name = self.wiki('settled', 'mw_')
        text = f'''
        # $wgDBname = "no";
        $wgDBtype = "mysql"; $wgDBserver = "127.0.0.1:{self.main.port}"; $wgDBname = '{name}';
        $wgDBuser = "cutover"; /* $wgDBuser = "no"; */ $wgDBpassword = "{PASSWORD}"; $wgDBprefix = "mw_";
        '''
        self.refused(self.settings(text=text), 'settled: fits', code=0)

    def test_other_databases(self):
        for kind, word in ('sqlite', 'SQLite'), ('postgres', 'PostgreSQL'):
            self.refused(self.settings(text=f'$wgDBtype = "{kind}";'), word, 'nothing was touched', code=2)

    def test_what_is_computed(self):
        self.refused(self.settings(text='$wgDBserver = getenv("H"); $wgDBname = "w";'), 'computes what is needed', '--server', code=2)


class Looking(Case):
    def test_a_missing_index_name(self):
        name = self.wiki('unindexed', change='ALTER TABLE revision DROP INDEX rev_page_timestamp')
        self.refused(self.check(name), 'does not fit its tables', 'rev_page_timestamp', '1176')

    def test_half_installed(self):
        name = self.wiki('half', change='DROP TABLE archive, category, comment, content, job, logging, slots, text')
        self.refused(self.check(name), '8 tables are missing', 'did not end?')

    def test_empty(self):
        self.main.sql('CREATE DATABASE hollow')
        self.addCleanup(self.main.sql, 'DROP DATABASE hollow')
        self.refused(self.check('hollow'), 'has no tables', code=2)

    def test_a_prefix_is_found_out(self):
        name = self.wiki('fixed', 'mw_')
        self.refused(self.check(name), 'the prefix "mw_"', code=2)
        self.refused(self.check(name, '--prefix', 'mw_'), 'fits', code=0)
        self.refused(self.check(name, '--prefix', 'x;DROP'), 'prefix', code=2)

    def test_rows_that_green_cannot_read(self):
        name = self.wiki('rowed', change='UPDATE revision SET rev_comment_id = 0')
        self.refused(self.check(name, versions=('blue', 'green')), 'revisions-without-comment', 'silent data loss')

    def test_half_an_edit_is_no_broken_row(self):
        name = self.wiki('editing')
        session = self.main.session('BEGIN; UPDATE revision SET rev_comment_id = 0', name)  # of an edit that is going on
        self.addCleanup(session.close)
        said = self.check(name, versions=('blue', 'green'))
        self.assertEqual(said.code, 0, said.text)

    def test_no_rights(self):
        self.main.sql("CREATE USER nobody@'%' IDENTIFIED BY 'correct-horse'; CREATE USER little@'%' IDENTIFIED BY 'correct-horse'; "
                      "GRANT SELECT ON expected.page TO little@'%'")
        self.addCleanup(self.main.sql, "DROP USER nobody@'%', little@'%'")
        self.refused(self.check('expected', user='nobody'), 'not known', 'Access denied', 'nobody')
        self.refused(self.check('expected', user='little'), 'tables are missing', 'a table that may not be read looks as if')

    def test_a_snapshot_is_what_is_there(self):
        out = os.path.join(self.dir, 'snap.json')
        said = self.cutover('snapshot', 'expected', '--server', f'cutover@127.0.0.1:{self.main.port}', '--password-env', 'DB_PASSWORD',
                            '--ca', HERE['servers'].at('ca.pem'), '--out', out)
        self.assertEqual(said.code, 0, said.text)
        self.refused(self.cutover('diff', out, HERE['manifest']), '0 differences', code=0)

    def test_somebody_holds_a_table(self):
        """Each statement waits a second for it, and what was not answered is said to be unknown."""
        name = self.wiki('held')
        session = self.main.session('LOCK TABLES page WRITE', name)
        self.addCleanup(session.close)
        begun = time.monotonic()
        said = self.check(name)
        self.assertLess(time.monotonic() - begun, 30)
        self.refused(said, 'unknown, so it counts as found', 'waited for a lock', code=0)  # of a check that is harmless


class RealVersions(Case):
    """The tables of MediaWiki 1.39 and 1.43 as their manifests have them, on a real server."""

    def version(self, version):
        name = 'mw' + version.replace('.', '')
        self.main.sql(f'CREATE DATABASE {name} CHARACTER SET binary')
        self.addCleanup(self.main.sql, f'DROP DATABASE {name}')
        self.main.sql(ddl.script(version), name)
        return name

    def between(self, name, blue, green, *args):
        return self.cutover('check', name, '--server', 'root@' + self.main.sock, '--blue', ddl.manifest(blue),
                            '--green', ddl.manifest(green), *args)

    def test_1_39(self):
        name = self.version('1.39')
        self.refused(self.between(name, '1.39', '1.39', '--all'), ': shared.', '0 differences block it, 0 are harmless', code=0)
        self.refused(self.between(name, '1.39', '1.43'), ': freeze.', 'block, block_target')
        self.refused(self.between(name, '1.39', '1.43', '--want', 'freeze'), ': freeze.', code=0)

    def test_1_43(self):
        name = self.version('1.43')
        self.refused(self.between(name, '1.43', '1.43', '--all'), ': shared.', '0 differences block it, 0 are harmless', code=0)
        self.refused(self.between(name, '1.39', '1.43', '--want', 'freeze'), ': impossible.', 'ipblocks')
        self.main.sql("INSERT INTO revision (rev_page, rev_comment_id, rev_actor, rev_timestamp) VALUES (1, 0, 1, '20260101000000')", name)
        self.refused(self.between(name, '1.43', '1.43'), 'revisions-without-comment')


class Health(Case):
    def test_an_old_transaction(self):
        name = self.wiki('busy')
        session = self.main.session('BEGIN; UPDATE page SET page_latest = 2; SELECT SLEEP(2.2)', name)
        self.addCleanup(session.close)
        self.refused(self.check(name, '--max-transaction', '1'), 'bad      transactions', 'thread ')
        self.refused(self.check(name, '--max-transaction', '600'), 'good     transactions', code=0)

    def test_waiting_ddl(self):
        name = self.wiki('altered')
        session = self.main.session('BEGIN; SELECT COUNT(*) FROM job', name)
        ddl = subprocess.Popen(self.main.client(name, '-e', 'SET lock_wait_timeout=60; ALTER TABLE job ADD x INT'))
        self.addCleanup(ddl.wait)
        self.addCleanup(session.close)
        end = time.monotonic() + 30
        while time.monotonic() < end and not self.main.sql("SELECT 1 FROM information_schema.processlist WHERE state LIKE 'Waiting for table metadata%'"):
            time.sleep(0.05)
        self.refused(self.check('expected'), 'bad      waiting-ddl')

    def test_a_full_auto_increment(self):
        name = self.wiki('full', change='ALTER TABLE page AUTO_INCREMENT = 4200000000')
        self.refused(self.check(name), 'bad      auto-increment', 'page.page_id')

    def test_every_range_of_an_auto_increment(self):
        """Half of a range is plenty, a twentieth is not: for each type the range is its own."""
        for bits, kind in ((8, 'TINYINT'), (16, 'SMALLINT'), (24, 'MEDIUMINT'), (32, 'INT'), (64, 'BIGINT')):
            for most, sign in ((2**bits, ' UNSIGNED'), (2**(bits - 1), '')):
                name = self.wiki(f'range{bits}{sign.strip().lower()}', change=f'CREATE TABLE counted (id {kind}{sign} AUTO_INCREMENT PRIMARY '
                                 f'KEY) ENGINE=InnoDB AUTO_INCREMENT={most // 2}')
                self.refused(self.check(name), 'good     auto-increment', code=0)
                self.main.sql(f'ALTER TABLE {name}.counted AUTO_INCREMENT={most * 19 // 20}')
                self.refused(self.check(name), 'bad      auto-increment', 'counted.id')

    def test_what_may_not_be_seen_is_not_good(self):
        """Without PROCESS the list of sessions is one's own only, and would look as if nobody waited."""
        self.main.sql("CREATE USER blinkered@'%' IDENTIFIED BY 'correct-horse'; GRANT SELECT ON *.* TO blinkered@'%'")
        self.addCleanup(self.main.sql, "DROP USER blinkered@'%'")
        self.refused(self.check('expected', user='blinkered'), 'unknown  waiting-ddl', 'unknown  transactions')

    def test_connections(self):
        self.refused(self.check('expected', '--min-connections', '100000'), 'bad      connections')

    def test_a_replica(self):
        s = HERE['servers']
        replica = s.start('replica', *s.tls(), '--server-id=2', '--read-only=1')
        self.main.sql("CREATE USER follower@'%' IDENTIFIED BY 'x'; GRANT REPLICATION SLAVE ON *.* TO follower@'%'")
        self.addCleanup(self.main.sql, "DROP USER follower@'%'")
        replica.sql(f"CHANGE MASTER TO master_host='127.0.0.1', master_port={self.main.port}, master_user='follower', "
                    "master_password='x', master_log_file='main.000001', master_log_pos=4; START SLAVE")
        end = time.monotonic() + 60
        while time.monotonic() < end and self.check('expected', '--role', 'reader', '--replica', port=replica.port).code:
            time.sleep(0.2)
        self.refused(self.check('expected', '--role', 'reader', '--replica', port=replica.port), 'good     lag', code=0)
        self.refused(self.check('expected', port=replica.port), 'bad      role', 'is this the right endpoint?')
        replica.sql('STOP SLAVE SQL_THREAD')
        self.refused(self.check('expected', '--role', 'reader', '--replica', port=replica.port), 'bad      lag', 'NULL', 'infinite')
        self.refused(self.check('expected', '--role', 'reader'), 'bad      role')
        self.refused(self.check('expected', '--replica'), 'no replica')

    def test_binlog(self):
        self.refused(self.check('expected', '--binlog'), 'good     binlog', code=0)


class Farm(Case):
    def test_many_wikis(self):
        for i in range(12):
            self.wiki(f'farm{i:02}', change='ALTER TABLE user DROP user_name' if i == 7 else '')
        before = int(self.main.sql("SHOW GLOBAL STATUS LIKE 'Connections'")[0][1])
        said = self.check('--all-databases', '--connections', '3', '-o', 'json', versions=('blue', 'green'))
        after = int(self.main.sql("SHOW GLOBAL STATUS LIKE 'Connections'")[0][1])
        self.assertEqual(said.code, 5, said.text)
        self.assertEqual(after - before, 5)  # to look around, three for the work, and this question
        total, wikis = said.docs[-1], {d['database']: d for d in said.docs[1:-1]}
        self.assertEqual((total['databases'], total['refused'], total['shared']), (13, 1, 12))
        self.assertEqual([n for n, d in wikis.items() if not d['ok']], ['farm07'])
        self.assertIn('13 of 13 databases', said.err)
        said = self.check('--all-databases')
        self.refused(said, 'farm07: does not fit', '13 databases: 12 as they should be, 1 not')
        self.assertNotIn('farm03', said.out)

    def test_snapshots_of_many(self):
        self.wiki('one')
        said = self.cutover('snapshot', '--all-databases', '--server', 'root@' + self.main.sock, '--out', os.path.join(self.dir, 'snaps'))
        self.assertEqual(said.code, 0, said.text)
        self.assertEqual(sorted(os.listdir(os.path.join(self.dir, 'snaps'))), ['expected.json', 'one.json'])


class Touched(Case):
    def test_zz_nothing_was_touched(self):
        """Runs last (unittest sorts by name): all that the program ever sent as this user."""
        with open(HERE['servers'].at('general.log'), encoding='utf-8', errors='replace') as f:
            log = f.read()
        ours, sent = set(), []
        for line in log.splitlines():
            m = re.match(r'(?:\d{6}\s+\d+:\d+:\d+)?\s+(\d+) (Connect|Query|Init DB|Quit)\s*(.*)', line)
            if m and m[2] == 'Connect' and m[3].startswith('cutover@'):
                ours.add(m[1])
            elif m and m[2] == 'Query' and m[1] in ours:
                sent.append(m[3])
        self.assertGreater(len(sent), 100)
        self.assertEqual([s for s in sent if not re.match(r'(SELECT|SHOW|SET SESSION|SET NAMES) ?', s)], [])
        self.assertNotIn(PASSWORD, ''.join(sent))
