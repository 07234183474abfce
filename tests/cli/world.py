"""The program as a process of its own, against a simulated AWS that is another (tests/tools/simserver.c)."""
import http.client
import http.server
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

import botocore.config
import botocore.session

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CUTOVER = os.environ.get('CUTOVER', os.path.join(ROOT, 'build', 'asan', 'cutover'))
SIMSERVER = os.environ.get('SIMSERVER', os.path.join(ROOT, 'build', 'asan', 'tools', 'simserver'))
REGION, ACCOUNT, ALARM = 'eu-central-1', '111122223333', 'wiki-errors'
READS = ('Describe', 'Get', 'List', 'GET ')
PATIENT = {'blind_after': 'PT10M'}  # watch: for a world_that_waits
LONG = 120  # seconds: more than anything here may take on a busy machine

LOOK = {'id': 'look', 'do': 'preflight'}
ALL = {'id': 'all', 'do': 'promote', 'bake': 'PT1S'}


def shift(percent, bake='PT1S'):
    return {'id': f'to-{percent}', 'do': 'shift', 'weight': f'{percent}%', 'bake': bake}


class Said:
    """What a command has said, and how it ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err
        self.text = f'exit {code}\n{out}\n{err}'

    def json(self):
        return json.loads(self.out)


class Driver:
    """A command that goes on while the test does."""

    def __init__(self, case, args, stdout=None, **more):
        self.case, self.files = case, [os.path.join(case.dir, f'said-{len(case.drivers)}-{n}') for n in (1, 2)]
        with open(self.files[0], 'wb') as out, open(self.files[1], 'wb') as err:
            self.process = subprocess.Popen([CUTOVER, *args], env=case.env, cwd=case.dir, stdin=subprocess.DEVNULL,
                                            stdout=stdout or out, stderr=err, **more)
        case.drivers.append(self)

    def said(self):
        texts = []
        for name in self.files:
            with open(name, encoding='utf-8', errors='replace') as f:
                texts.append(f.read())
        return texts

    def signal(self, number):
        self.process.send_signal(number)

    def end(self, seconds=LONG):
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.case.fail('it did not end: ' + '\n'.join(self.said())[-2000:])
        return Said(self.process.returncode, *self.said())

    def kill(self):
        self.process.kill()
        self.process.wait()


class Wire:
    """Between the program and AWS: edit(action, status, body) gives another status and body, or None.
    What is in self.closed does not get there at all."""

    def __init__(self, port, edit):
        wire = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
                up = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
                if action_of(self.headers, body) in wire.closed:
                    self.send_error(503)
                    return
                up.request(self.command, self.path, body, dict(self.headers))
                answer = up.getresponse()
                status, text = answer.status, answer.read()
                status, text = wire.edit(action_of(self.headers, body), status, text) or (status, text)
                self.send_response_only(status)
                for name, value in answer.getheaders():
                    if name.lower() not in ('content-length', 'connection'):
                        self.send_header(name, value)
                self.send_header('Content-Length', str(len(text)))
                self.end_headers()
                self.wfile.write(text)
            do_GET = do_PUT = do_DELETE = do_POST

            def log_message(self, *args):
                pass

        self.edit, self.closed = edit, set()
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def action_of(head, body):
    if head.get('X-Amz-Target'):
        return head['X-Amz-Target'].rpartition('.')[2]
    found = [p[7:] for p in body.decode('latin-1').split('&') if p.startswith('Action=')]
    return found[0] if found else 'REST'


class Case(unittest.TestCase):
    """A folder, a journal, an environment; with world(): an AWS."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='cutover-cli-')
        self.addCleanup(shutil.rmtree, self.dir, True)
        self.state, self.drivers = os.path.join(self.dir, 'state', 'journal.db'), []
        self.env = {'PATH': '/usr/bin:/bin', 'HOME': self.dir, 'LC_ALL': 'C.UTF-8', 'CUTOVER_STATE': self.state,
                    'AWS_ACCESS_KEY_ID': 'AKIDEXAMPLE', 'AWS_SECRET_ACCESS_KEY': 'example', 'AWS_REGION': REGION,
                    'AWS_EC2_METADATA_DISABLED': 'true', 'CUTOVER_ACTOR': 'tester'}
        self.addCleanup(self.end_drivers)

    def end_drivers(self):
        for d in self.drivers:
            if d.process.poll() is None:
                d.kill()

    # --- the world ------------------------------------------------------------------------

    def world(self, *options, edit=None, seed=1):
        """Starts a simulated AWS that is ten minutes old: green is healthy and has no weight."""
        self.log = os.path.join(self.dir, 'asked')
        self.server = subprocess.Popen([SIMSERVER, '--log', self.log, '--age', '600', '--green-on-rule', '--period', '1',
                                        '--alarm', ALARM, '--seed', str(seed), *options], text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        port, self.rule, self.blue, self.green = (self.server.stdout.readline().strip() for _ in range(4))
        self.addCleanup(self.end_world)
        self.assertTrue(self.green, 'the simulated AWS did not start')
        self.port = int(port)
        if edit:
            self.wire = Wire(self.port, edit)
            self.addCleanup(self.wire.close)
            port = self.wire.port
        self.env['AWS_ENDPOINT_URL'] = f'http://127.0.0.1:{port}'

    def world_that_waits(self, *options):
        """Once green has weight there are no metrics, hence no verdict and no next step, until self.metrics is set:
        what a test does meanwhile it may do slowly."""
        self.metrics = threading.Event()
        self.world(*options, edit=lambda action, status, body: (503, b'') if action == 'GetMetricData' and
                   not self.metrics.is_set() and 'ModifyRule' in self.asked() else None)

    def end_world(self):
        self.server.stdin.close()
        self.server.stdout.close()
        self.server.wait(LONG)

    def somebody_sets(self, blue, green):
        """By AWS's own SDK, as a person at the console would."""
        session = botocore.session.Session()
        session.set_credentials('AKIDSOMEBODY', 'else')
        elb = session.create_client('elbv2', region_name=REGION, endpoint_url=f'http://127.0.0.1:{self.port}',
                                    config=botocore.config.Config(retries={'max_attempts': 1}))
        groups = [{'TargetGroupArn': self.blue, 'Weight': blue}, {'TargetGroupArn': self.green, 'Weight': green}]
        before = len(self.writes())
        elb.modify_rule(RuleArn=self.rule, Actions=[{'Type': 'forward', 'ForwardConfig': {'TargetGroups': groups}}])
        end = time.monotonic() + LONG  # the log's line follows the answer
        while len(self.writes()) == before and time.monotonic() < end:
            time.sleep(0.01)
        self.assertGreater(len(self.writes()), before)

    def asked(self):
        with open(self.log, encoding='utf-8') as f:
            return [json.loads(line)['action'] for line in f.read().splitlines(True) if line.endswith('\n')]

    def writes(self):
        return [a for a in self.asked() if not a.startswith(READS)]

    # --- plans and commands -------------------------------------------------------------------

    def plan(self, *steps, watch=None, **more):
        """A plan in seconds; its path."""
        name = os.path.join(self.dir, f'plan-{len(os.listdir(self.dir))}.json')
        body = {'name': 'wiki', 'region': REGION, 'account': ACCOUNT, 'rule': self.rule,
                'blue': {'target_group': self.blue}, 'green': {'target_group': self.green},
                'watch': {'period': 'PT1S', 'poll': 'PT1S', 'good_requests': 20, 'judge': {'harm': 20000}, 'blind_after': 'PT1M',
                          'foreign_grace': 'PT4S', 'alarms': [ALARM], **(watch or {})},
                'steps': list(steps), **more}
        with open(name, 'w', encoding='utf-8') as f:
            json.dump(body, f, indent=1)
        return name

    def file(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, 'wb') as f:
            f.write(text.encode() if isinstance(text, str) else text)
        return path

    def run_it(self, *args, seconds=LONG, **more):
        done = subprocess.run([CUTOVER, *args], env=self.env, cwd=self.dir, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds, check=False, **more)
        return Said(done.returncode, done.stdout.decode('utf-8', 'replace'), done.stderr.decode('utf-8', 'replace'))

    def drive(self, *args, **more):
        return Driver(self, args, **more)

    def expect(self, code, said, *words):
        """Exit code, and what must have been said."""
        self.assertEqual(said.code, code, said.text)
        for w in words:
            self.assertIn(w, said.text)
        return said

    # --- the journal --------------------------------------------------------------------------

    def events(self, run=None):
        said = self.run_it('events', *([run] if run else []), '-o', 'json')
        return [json.loads(line) for line in said.out.splitlines()] if said.code == 0 else []

    def status(self):
        return self.expect(0, self.run_it('status', '-o', 'json')).json()

    def wait_for(self, what, seconds=LONG, of=None):
        """Waits until what(events) holds; gives the events."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            events = self.events()
            if events and what(events):
                return events
            if of and of.process.poll() is not None:
                self.fail(f'it ended too early: {of.end().text[-2000:]}')
            time.sleep(0.1)
        self.fail('the run did not get there:\n' + self.run_it('events').text[-3000:])

    def wait_for_green(self, percent, of=None):
        """AWS has confirmed green's share."""
        return self.wait_for(lambda ev: any(e['kind'] == 'weights' and e['body']['permille'] == percent * 10
                                            for e in ev), of=of)


def kinds(events):
    return [e['kind'] for e in events]


INT, TERM, HUP, STOP, CONT = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGSTOP, signal.SIGCONT
