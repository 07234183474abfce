"""From an empty account to a serving wiki by `cutover stacks apply`, then a cutover by the
controller's own role, with nothing but the commands that the README names.

The wiki's tables are there already (the lab installs MediaWiki once); what the setup
task of the templates would do is not repeated.
"""
import json
import os
import shutil
import subprocess

import dataplane
import demo
import iam
import lab as labs
from aws_api import ACCOUNT, REGION
from ecs import Ecs
from stacks_cfn import Stacks

FILE = os.path.join(labs.ROOT, 'plans', 'environments', 'lab.json')
BLUE, GREEN = ('sha256:' + c * 64 for c in 'bc')

# The test listener tells colours by a header, as the colours' own rules say.
TEST = '''
frontend test
  bind 127.0.0.1:{port}
  http-request return status 404 content-type text/plain string "no such release" unless {{ req.hdr(X-MW-Color) -m str blue green }}
  http-after-response set-header X-Lab-Server alb if !{{ res.hdr(X-Lab-Server) -m found }}
  use_backend %[req.hdr(X-MW-Color)]
'''


class DigestEcs(Ecs):
    """Images by digest: `images` says which release each one is."""
    images = {}

    def container(self, definition):
        first = self.backend().describe_task_definition(definition).container_definitions[0]
        return 'mediawiki:' + self.images[first['image'].partition('@')[2]], {e['name']: e['value'] for e in first.get('environment', [])}


class StackedLab(labs.Lab):
    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.ecs = DigestEcs(self.procs, self.tmp, self.wiki, self.health)
        self.ecs.images = {BLUE: self.wiki.blue, GREEN: self.wiki.green}
        for version in {self.wiki.blue, self.wiki.green}:
            shutil.copyfile(os.path.join(labs.ROOT, 'templates', 'image', 'healthz.php'), os.path.join(self.wiki.tree(version), 'healthz.php'))
        plain = dataplane.frontend
        dataplane.frontend = lambda name, port, map_file: TEST.format(port=port) if name == 'test' else plain(name, port, map_file)

    def install(self):
        super().install()
        self.cfn = Stacks(self.api, self.clients('cloudformation'))
        self.cfn.install()
        self.guard = iam.Guard(self.cfn)
        self.api.guards.append(self.guard)

    def build(self):
        """Nothing is there but a certificate; everything else is made by the program."""
        from moto.acm.models import acm_backends
        self.certificate = acm_backends[ACCOUNT][REGION].request_certificate('wiki.example.org', '', [], [])
        for part in (self.plane, self.health, self.ecs, self.schedules, self.alarms):
            part.start()
        image = f'{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/mw-lab@'
        self.wiki_env = {
            'WIKI_ACCOUNT': ACCOUNT, 'WIKI_CERTIFICATE': self.certificate, 'WIKI_READERS': '198.51.100.0/24',
            'WIKI_TESTERS': '203.0.113.0/24', 'WIKI_HOST': 'wiki.example.org', 'WIKI_CONTROLLER': f'arn:aws:iam::{ACCOUNT}:role/deployer',
            'WIKI_RELEASE': self.wiki.blue, 'WIKI_IMAGE': image + BLUE}
        self.stacks('plan')
        self.stacks('apply')
        self.take_over(image)

    def begin(self):
        return []  # they run already: a stack is complete when its tasks are

    def stop(self):
        self.parts = [self.plane, self.health, self.ecs, self.schedules, self.alarms]
        super().stop()

    def stacks(self, verb, *more):
        demo.say(f'cutover stacks {verb} plans/environments/lab.json')
        done = subprocess.run([demo.PROGRAM, 'stacks', verb, FILE, *more], env=self.program_env('operator'),
                              stdout=subprocess.PIPE if more else None, text=True)
        if done.returncode:
            raise RuntimeError(f'cutover stacks {verb} ended with {done.returncode}')
        return done.stdout

    def program_env(self, who):
        self.client(who, 'sts')
        key = self.keys[who]
        return {**{k: v for k, v in os.environ.items() if not k.startswith('AWS_')}, **self.wiki_env,
                'AWS_ENDPOINT_URL': self.server.url, 'AWS_ACCESS_KEY_ID': key.id, 'AWS_SECRET_ACCESS_KEY': key.secret,
                'AWS_REGION': REGION, 'AWS_CONFIG_FILE': '/dev/null', 'AWS_SHARED_CREDENTIALS_FILE': '/dev/null',
                'AWS_EC2_METADATA_DISABLED': 'true'}

    def take_over(self, image):
        """What the README reads out of `stacks status -o json` for the plan; and the controller's role, with its rights only."""
        told = [json.loads(line) for line in self.stacks('status', '-o', 'json').splitlines()]
        out = {s['stack'].removeprefix('mw-lab-'): s['outputs'] for s in told if s['what'] == 'status'}
        self.rule, self.blue = next(e['rule'] for e in told if e['what'] == 'rule'), out['blue']['TargetGroupArn']
        self.plane.balancer = out['edge']['LoadBalancerFullName']
        self.plane.listeners[out['edge']['HttpsListenerArn']] = 'prod'
        store = out['controller']['StoreBucket']
        url = f'https://{store}.s3.{REGION}.amazonaws.com/templates/50-colour.yaml'
        with open(os.path.join(labs.ROOT, 'templates', '50-colour.yaml')) as f:
            self.cfn.store[url] = f.read()  # aws s3 cp
        role = self.cfn.find('mw-lab-controller').resources['ControllerRole']['properties']
        self.guard.policies['controller'] = [p['PolicyDocument'] for p in role['Policies']]
        self.wiki_env.update(
            WIKI_RULE=self.rule, WIKI_BLUE_GROUP=self.blue, WIKI_CLUSTER=out['platform']['ClusterName'],
            WIKI_BLUE_SERVICE=out['blue']['ServiceName'], WIKI_BLUE='mw-lab-blue', WIKI_PROBES='PT3S', WIKI_GREEN='mw-lab-green',
            WIKI_STACK_ROLE=out['controller']['StackRoleArn'], WIKI_DEADMAN_ROLE=out['controller']['DeadmanRoleArn'],
            WIKI_ALARM=out['edge']['NoAnswerAlarmName'], WIKI_TEMPLATE=url, WIKI_NEXT_RELEASE=self.wiki.green,
            WIKI_NEXT_IMAGE=image + GREEN, WIKI_URL=self.wiki.server, WIKI_TEST=f"127.0.0.1:{self.plane.ports['test']}",
            WIKI_PERIOD='PT2S', WIKI_BAKE='PT10S', WIKI_SOAK='PT5S')

    def environment(self):
        return self.program_env('controller')

    def green_services(self):
        return [s.name for s in list(Ecs.backend().services.values()) if s.name.startswith('mw-lab-green') and s.status == 'ACTIVE']


class StackedRun(demo.Run):
    lab_kind, plan = StackedLab, 'release.json'

    def judge(self, status, began, ended, seen, weights):
        rows = super().judge(status, began, ended, seen, weights)
        shown = json.loads(subprocess.run([demo.PROGRAM, 'explain', os.path.join(labs.ROOT, 'plans', self.plan), '-o', 'json'], env=self.env,
                                          capture_output=True, text=True, check=True).stdout)['iam_actions']
        compared = iam.comparison(self.lab.guard.used, shown, iam.actions_of(self.lab.guard.policies['controller']))
        iam.print_comparison(compared)
        more = [a for a, used, told, _ in compared if used and not told]
        gone = self.lab.cfn.find('mw-lab-blue') is None
        rows.append(("blue's stack", 'deleted' if gone else 'there', 'deleted' if status == 0 else 'there', gone == (status == 0)))
        rows.append(('actions used and not shown', ', '.join(more) or 'none', 'none', not more))
        rows.append(('actions refused by its policy', str(self.lab.guard.refused or 'none'), 'none', not self.lab.guard.refused))
        return rows

    def tasks(self):
        with self.lab.ecs.lock:
            tasks = [t for ts in self.lab.ecs.tasks.values() for t in ts if t.state in ('PENDING', 'RUNNING')]  # as ECS counts: who drains does not run
        blue = sum(t.service.name.startswith('mw-lab-blue') for t in tasks)
        return {'blue': blue, 'green': len(tasks) - blue}
