"""A MariaDB for one test program, with TLS of its own, in a folder that goes away."""
import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time

COMMON = ['--no-defaults', '--skip-name-resolve', '--innodb-buffer-pool-size=64M', '--innodb-log-file-size=16M',
          '--innodb-flush-log-at-trx-commit=0', '--skip-innodb-doublewrite', '--bind-address=127.0.0.1']
ME = ['--user=' + getpass.getuser()]


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def quiet(*argv, **more):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **more)
    if done.returncode:
        raise RuntimeError(f'{argv[0]} failed: {done.stdout.decode(errors="replace")[-1000:]}')


def make_certificates(folder):
    """ca.pem, stranger.pem (another CA), server.pem for 127.0.0.1 only."""
    new = ['openssl', 'req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    at = lambda name: os.path.join(folder, name)
    for ca in 'ca', 'stranger':
        quiet(*new, '-x509', '-days', '2', '-subj', '/CN=' + ca, '-keyout', at(ca + '.key'), '-out', at(ca + '.pem'))
    quiet(*new, '-subj', '/CN=127.0.0.1', '-keyout', at('server.key'), '-out', at('server.csr'))
    with open(at('san'), 'w', encoding='ascii') as f:
        f.write('subjectAltName=IP:127.0.0.1')
    quiet('openssl', 'x509', '-req', '-in', at('server.csr'), '-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial',
          '-days', '2', '-extfile', at('san'), '-out', at('server.pem'))


class Server:
    def __init__(self, folder=None):
        self.dir = folder or tempfile.mkdtemp(prefix='cutover-db-')
        self.programs = []
        make_certificates(self.dir)
        quiet('mariadb-install-db', '--force', *COMMON[:2], *ME, '--datadir=' + self.at('empty'),
              '--auth-root-authentication-method=normal', '--skip-test-db', '--innodb-log-file-size=16M')

    def at(self, name):
        return os.path.join(self.dir, name)

    def start(self, name, *options):
        """An instance on data of its own."""
        shutil.copytree(self.at('empty'), self.at(name))
        os.mkdir(self.at(name + '.tmp'))  # a server that starts deletes what others have in the same one
        return Instance(self, name, options)

    def close(self):
        for p in self.programs:
            p.terminate()
        for p in self.programs:
            p.wait(60)
        shutil.rmtree(self.dir, True)

    def tls(self):
        return ['--ssl-ca=' + self.at('ca.pem'), '--ssl-cert=' + self.at('server.pem'), '--ssl-key=' + self.at('server.key')]


class Instance:
    def __init__(self, server, name, options):
        self.port, self.sock, self.log = free_port(), server.at(name + '.sock'), server.at(name + '.log')
        with open(self.log, 'wb') as log:
            self.program = subprocess.Popen(['mariadbd', *COMMON, *ME, '--datadir=' + server.at(name), f'--port={self.port}',
                                             '--socket=' + self.sock, '--tmpdir=' + server.at(name + '.tmp'), *options], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        server.programs.append(self.program)
        end = time.monotonic() + 60
        while subprocess.run(self.client('-e', 'SELECT 1'), capture_output=True, check=False).returncode:
            if self.program.poll() is not None or time.monotonic() > end:
                with open(self.log, encoding='utf-8', errors='replace') as f:
                    raise RuntimeError('MariaDB did not start: ' + f.read()[-2000:])
            time.sleep(0.1)

    def client(self, *args):
        return ['mariadb', '--no-defaults', '-uroot', '--socket=' + self.sock, '-N', '-B', *args]

    def sql(self, text, database=''):
        done = subprocess.run(self.client(*([database] if database else [])), input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return [line.split('\t') for line in done.stdout.splitlines()]

    def session(self, text, database):
        """A client that has done this and holds its connection; close() ends it."""
        p = subprocess.Popen(self.client('--unbuffered', database), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        p.stdin.write(text + "; SELECT 'here';\n")
        p.stdin.flush()
        for line in p.stdout:
            if line.strip() == 'here':
                break
        return Session(p)


class Session:
    def __init__(self, process):
        self.process = process

    def close(self):
        if self.process.stdin:
            self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(60)


WIKI = '''
CREATE TABLE {p}page (page_id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, page_title VARBINARY(255) NOT NULL,
 page_latest INT UNSIGNED NOT NULL, UNIQUE KEY page_name_title (page_title)) ENGINE=InnoDB DEFAULT CHARSET=binary;
CREATE TABLE {p}revision (rev_id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, rev_page INT UNSIGNED NOT NULL,
 rev_comment_id BIGINT UNSIGNED NOT NULL, rev_actor BIGINT UNSIGNED NOT NULL, KEY rev_page_timestamp (rev_page))
 ENGINE=InnoDB DEFAULT CHARSET=binary;
CREATE TABLE {p}user (user_id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, user_name VARBINARY(255) NOT NULL DEFAULT '')
 ENGINE=InnoDB DEFAULT CHARSET=binary;
CREATE TABLE {p}actor (actor_id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, actor_name VARBINARY(255) NOT NULL,
 UNIQUE KEY actor_name (actor_name)) ENGINE=InnoDB DEFAULT CHARSET=binary;
CREATE TABLE {p}site_stats (ss_row_id INT UNSIGNED PRIMARY KEY, ss_total_edits BIGINT UNSIGNED)
 ENGINE=InnoDB DEFAULT CHARSET=binary;
INSERT INTO {p}site_stats VALUES (1, 1);
INSERT INTO {p}actor VALUES (1, 'Somebody');
INSERT INTO {p}page VALUES (1, 'Main_Page', 1);
INSERT INTO {p}revision VALUES (1, 1, 1, 1);
''' + ''.join(f'CREATE TABLE {{p}}{t} ({t}_id BIGINT UNSIGNED PRIMARY KEY) ENGINE=InnoDB DEFAULT CHARSET=binary;\n'
              for t in ('archive', 'category', 'comment', 'content', 'job', 'logging', 'slots', 'text'))


def make_wiki(instance, database, prefix=''):
    """A small one: what the program judges by is what it is told to expect."""
    instance.sql(f'CREATE DATABASE `{database}` CHARACTER SET binary')
    instance.sql(WIKI.replace('{p}', prefix), database)
