"""The lab for a real upgrade: blue is the long-term release before green, each has a
database of its own, and green's is a copy that follows blue's until the freeze.

Both colours share the storage with the lock file ($wgReadOnlyFile), as they would share
EFS, and the store of the sessions; each has a cache. What would be ElastiCache are
databases on blue's server that are not copied.
"""
import json
import os
import secrets
import subprocess
import threading
import time

import rds
from aws_api import ACCOUNT, REGION
from errands import Errands
from lab import HERE, Lab
from tls import Tls
from wiki import Wiki

CLUSTER = 'lab'
GROUP = 'lab-copy'      # cluster parameter group of the copy: it can be written
STORES = ('labsessions', 'labcache_blue', 'labcache_green')
STORE = '''
CREATE TABLE objectcache (
  keyname varbinary(255) NOT NULL DEFAULT '' PRIMARY KEY, value mediumblob, exptime binary(14) NOT NULL,
  modtoken varbinary(17) NOT NULL DEFAULT '00000000000000000', flags int unsigned, KEY exptime (exptime)
) ENGINE=InnoDB DEFAULT CHARSET=binary;
'''


class UpgradeWiki(Wiki):
    versions = 'versions-upgrade'

    def __init__(self, lab_dir, run, procs):
        super().__init__(lab_dir, run, procs)
        self.tls = Tls(os.path.join(run, 'tls'))
        self.lock = os.path.join(run, 'shared', 'lock')
        os.makedirs(os.path.dirname(self.lock))
        self.primary = rds.make_server(procs, run, 'db', 1, self.tls, ''.join(f'binlog-ignore-db={s}\n' for s in STORES))
        self.db.port, self.options = self.primary.port, self.primary.options
        self.copies, self.arns = [], {}

    def start(self, say=lambda text: None):
        super().start(say)
        self.passwords = {name: secrets.token_hex(16) for name in ('follower', 'stores', 'cutover')}
        # Not in the log: RDS's accounts and procedures are on a copy because it is a copy.
        self.accounts(self.db)
        self.db.sql('SET sql_log_bin=0;' + ''.join(f'CREATE DATABASE {s} CHARACTER SET binary; USE {s};' + STORE for s in STORES))

    def accounts(self, server):
        word = self.passwords
        server.sql('SET sql_log_bin=0;'
                   f"CREATE USER follower@'127.0.0.1' IDENTIFIED BY '{word['follower']}' REQUIRE SSL;"
                   "GRANT REPLICATION SLAVE ON *.* TO follower@'127.0.0.1';"
                   f"CREATE USER mwstores@'127.0.0.1' IDENTIFIED BY '{word['stores']}';" +
                   ''.join(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {s}.* TO mwstores@'127.0.0.1';" for s in STORES) +
                   f"CREATE USER cutover@'127.0.0.1' IDENTIFIED BY '{word['cutover']}' REQUIRE SSL;"
                   "GRANT PROCESS, BINLOG MONITOR, SLAVE MONITOR ON *.* TO cutover@'127.0.0.1';"
                   "GRANT SELECT ON labwiki.* TO cutover@'127.0.0.1';" + rds.PROCEDURES +
                   "GRANT EXECUTE ON PROCEDURE mysql.rds_stop_replication TO cutover@'127.0.0.1';"
                   "GRANT EXECUTE ON PROCEDURE mysql.rds_reset_external_master TO cutover@'127.0.0.1';")

    def copy(self, cluster, read_only):
        """A MariaDB on what blue's began with, that follows it since."""
        number = 2 + len(self.copies)
        server = rds.make_server(self.procs, self.run, f'copy{number}', number, self.tls, f'read-only={int(read_only)}\n')
        self.copies.append(server)
        server.start_from(os.path.join(self.cold_copy(), 'data'))
        self.accounts(server)
        rds.follow(server, cluster.server, self.tls, 'follower', self.passwords['follower'])
        return server

    def environment(self, cache):
        return {'LAB_SERVER': self.server, 'LAB_SECRET': self.secret['key'], 'LAB_CACHEDIR': cache}

    def container(self):
        return {'environment': [{'name': n, 'value': v} for n, v in (
                    ('LAB_DBSERVER', f'127.0.0.1:{self.db.port}'), ('LAB_STORES', f'127.0.0.1:{self.db.port}'),
                    ('LAB_LOCK', self.lock), ('LAB_COLOUR', 'blue'))],
                'secrets': [{'name': n, 'valueFrom': self.arns[s] + ':password::'} for n, s in (
                    ('LAB_DBPASS', 'wiki'), ('LAB_STORES_PASS', 'stores'))]}

    def edit_past_the_lock(self, title, summary):
        """As a cron container of blue's does that lacks the mount with the lock file; raises unless it was accepted."""
        cache = os.path.join(self.run, 'cron')
        os.makedirs(cache, exist_ok=True)
        mine = {e['name']: e['value'] for e in self.container()['environment'] if e['name'] != 'LAB_LOCK'}
        script = os.path.join(self.tree(self.blue), 'maintenance', 'edit.php')
        done = subprocess.run(['php', '-d', 'error_reporting=0', script, '--user', 'Admin', '--summary', summary, title],
                              input=f'{summary}: an edit that blue accepted', capture_output=True, text=True, errors='replace', timeout=60,
                              env={**os.environ, **self.environment(cache), **mine, 'LAB_DBPASS': self.secret['db'],
                                   'LAB_STORES_PASS': self.passwords['stores']})
        if done.returncode or 'done' not in done.stdout:
            raise RuntimeError(f'edit.php: {done.returncode} {(done.stdout + done.stderr)[-300:]}')


class Window:
    """What really happened to the wiki's writers, seen by the lab itself: when the lock
    file was there, when the copy had everything, and when commands ran."""

    def __init__(self, lab):
        self.lab, self.locked, self.unlocked, self.caught_up = lab, None, None, None
        self.stop, self.thread = threading.Event(), threading.Thread(target=self.look, daemon=True, name='window')

    def start(self):
        self.thread.start()

    def end(self):
        self.stop.set()
        if self.thread.is_alive():
            self.thread.join(10)

    def look(self):
        path = self.lab.wiki.lock
        while not self.stop.wait(0.01):
            there = os.path.exists(path)
            if there and self.locked is None:
                self.locked = time.time()
                threading.Thread(target=self.wait_for_copy, daemon=True, name='caught-up').start()
            elif not there and self.locked and not self.unlocked:
                self.unlocked = time.time()

    def wait_for_copy(self):
        copies = self.lab.wiki.copies
        while copies and not self.stop.wait(0.05):
            try:
                if rds.caught_up(copies[-1], self.lab.wiki.db):
                    self.caught_up = time.time()
                    return
            except RuntimeError:
                return  # the lab ends


class UpgradeLab(Lab):
    wiki_kind = UpgradeWiki
    rate = 10  # update.php and a second MariaDB want the rest

    def install(self):
        super().install()
        self.errands = Errands(self.ecs)
        self.errands.install(self.api)
        self.rds = rds.Rds(self.wiki.copy)
        self.rds.groups[GROUP] = {'read_only': '0'}
        self.rds.install(self.api)
        self.window = Window(self)

    def build(self):
        wiki, client = self.wiki, self.client('operator', 'secretsmanager')
        for name, user, password in (('wiki', 'mwlab', wiki.secret['db']), ('stores', 'mwstores', wiki.passwords['stores']),
                                     ('cutover', 'cutover', wiki.passwords['cutover'])):
            wiki.arns[name] = client.create_secret(Name='lab-' + name, SecretString=json.dumps(
                {'username': user, 'password': password}))['ARN']
        self.rds.add(CLUSTER, wiki.db).status = 'available'
        super().build()
        self.blue_task = self.ecs.backend().services['lab:blue'].task_definition
        self.subnet = self.client('operator', 'ec2').describe_subnets()['Subnets'][0]['SubnetId']

    def begin(self):
        return [*super().begin(), self.errands, self.window]

    def environment(self):
        wiki = self.wiki
        return {**super().environment(), 'LAB_TEMPLATE': os.path.join(HERE, 'green-upgrade.yaml'),
                'LAB_CLUSTER_ID': CLUSTER, 'LAB_COPY_GROUP': GROUP, 'LAB_DB_HOST': '127.0.0.1', 'LAB_DB_PORT': str(wiki.db.port),
                'LAB_DB_CA': wiki.tls.ca, 'LAB_DB_LOGIN': wiki.arns['cutover'], 'LAB_WIKI_LOGIN': wiki.arns['wiki'],
                'LAB_STORES_LOGIN': wiki.arns['stores'], 'LAB_LOCK_FILE': wiki.lock, 'LAB_SUBNET': self.subnet,
                'LAB_STORES_AT': f'127.0.0.1:{wiki.db.port}', 'LAB_BLUE_TASK': self.blue_task}
