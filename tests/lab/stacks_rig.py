"""An empty account for templates/: the AWS end, CloudFormation with every type of
the templates, and tasks that are one small HTTP server each. No wiki, no proxy.
"""
import http.server
import os
import subprocess
import threading
import time

import boto3
from botocore.config import Config
from moto.acm.models import acm_backends
from moto.cloudwatch.models import cloudwatch_backends
from moto.ecs import models as ecs_models
from moto.ecs.models import ecs_backends
from moto.elbv2.models import elbv2_backends

import cloudwatch
import elb
from aws_api import ACCOUNT, REGION, Api, Server
from health import Health
from procs import Loop
from stacks_cfn import Stacks

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CUTOVER = os.environ.get('CUTOVER', os.path.join(ROOT, 'build', 'cutover'))
DIGEST = 'sha256:' + '0123456789abcdef' * 4


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', '2')
        self.end_headers()
        self.wfile.write(b'ok')

    def log_message(self, *args):
        pass


class Tasks:
    """ECS's scheduler: as many servers per service as are desired."""

    def __init__(self, health):
        self.health, self.servers, self.loop = health, {}, Loop('tasks', 0.1, self.follow)
        for name in ('running_count', 'pending_count'):
            setattr(ecs_models.Service, name, property(
                lambda s, name=name: len(self.servers.get(getattr(s, 'arn', ''), [])) if name == 'running_count' else 0,
                lambda s, v: None))

    def follow(self):
        services = {s.arn: s for s in list(ecs_backends[ACCOUNT][REGION].services.values())}
        for arn in set(services) | set(self.servers):
            service = services.get(arn)
            wanted = service.desired_count if service and service.status == 'ACTIVE' else 0
            have = self.servers.setdefault(arn, [])
            while len(have) < wanted:
                have.append(self.run(service))
            while len(have) > wanted:
                self.end_one(*have.pop())
            if not have and not service:
                del self.servers[arn]

    def run(self, service):
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Page)
        threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True).start()
        groups = [b['targetGroupArn'] for b in service.load_balancers if b.get('targetGroupArn')]
        for arn in groups:
            self.health.register(arn, '127.0.0.1', server.server_port)
        return server, groups

    def end_one(self, server, groups):
        for arn in groups:
            self.health.deregister(arn, '127.0.0.1', server.server_port)
        server.shutdown()
        server.server_close()

    def end(self):
        self.loop.end()
        for have in self.servers.values():
            for server in have:
                self.end_one(*server)
        self.servers.clear()


class Rig:
    def __init__(self, journal=None):
        for backends in (elbv2_backends, ecs_backends, cloudwatch_backends):
            backends.reset()
        self.api = Api(journal)
        self.api.regions.add('us-east-1')  # where CloudFront's firewall lives; the stacks of both are told apart by name
        self.health = Health()
        self.metrics = cloudwatch.Metrics(delay=(0, 0))
        self.alarms = cloudwatch.Alarms(self.metrics, lag=0)
        elb.install(self.api, self.health)
        cloudwatch.install(self.api, self.metrics, self.alarms)
        self.server, self.made, self.keys = Server(self.api), {}, {}
        self.cfn = Stacks(self.api, lambda service: self.client(service, 'cloudformation'))
        self.cfn.install()
        self.tasks = Tasks(self.health)
        self.certificate = acm_backends[ACCOUNT][REGION].request_certificate('wiki.example.org', '', [], [])  # made outside, by hand
        self.health.start()
        self.tasks.loop.start()

    def end(self):
        self.tasks.end()
        self.health.end()
        self.server.shutdown()
        self.server.server_close()

    def key(self, who):
        if who not in self.keys:
            self.keys[who] = self.api.new_key(who)
        return self.keys[who]

    def client(self, service, who='operator'):
        if (service, who) not in self.made:
            key = self.key(who)
            self.made[service, who] = boto3.session.Session().client(
                service, region_name=REGION, endpoint_url=self.server.url, aws_access_key_id=key.id,
                aws_secret_access_key=key.secret, config=Config(retries={'total_max_attempts': 1}, disable_request_compression=True))
        return self.made[service, who]

    def environment(self, who='operator', **more):
        key = self.key(who)
        return {'PATH': os.environ['PATH'], 'HOME': '/nonexistent', 'AWS_ENDPOINT_URL': self.server.url, 'AWS_ACCESS_KEY_ID': key.id,
                'AWS_SECRET_ACCESS_KEY': key.secret, 'AWS_REGION': REGION, 'AWS_CONFIG_FILE': '/dev/null',
                'AWS_SHARED_CREDENTIALS_FILE': '/dev/null', 'AWS_EC2_METADATA_DISABLED': 'true', 'LC_ALL': 'C.UTF-8', **wiki(self.certificate), **more}

    def run(self, *args, who='operator', **more):
        return subprocess.run([CUTOVER, *args], env=self.environment(who, **more), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=300, check=False)


def wiki(certificate, release='1.43.9', digest=DIGEST):
    """What an operator says about the wiki: the variables of plans/environments/*.json."""
    return {'WIKI_ACCOUNT': ACCOUNT, 'WIKI_CERTIFICATE': certificate,
            'WIKI_CDN_CERTIFICATE': f'arn:aws:acm:us-east-1:{ACCOUNT}:certificate/00000000-0000-0000-0000-000000000000',
            'WIKI_READERS': '198.51.100.0/24', 'WIKI_TESTERS': '203.0.113.0/24', 'WIKI_HOST': 'wiki.example.org',
            'WIKI_CONTROLLER': f'arn:aws:iam::{ACCOUNT}:role/deployer', 'WIKI_RELEASE': release,
            'WIKI_IMAGE': f'{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/mw-lab@{digest}', 'WIKI_SYSLOG_HOST': ''}


def until(what, test, seconds=120):
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            raise AssertionError('waited in vain for ' + what)
        time.sleep(0.05)
