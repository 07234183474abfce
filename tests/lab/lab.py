"""The lab: every part started, connected and ended.

    lab.py up                 start it, print what a client needs, run until a signal
    lab.py rehearse           a whole shift driven by boto3: proves the lab alone
    lab.py demo PLAN [FAULT]  a whole cutover by build/cutover; PLAN: lab or upgrade
"""
import fcntl
import http.client
import os
import shutil
import signal
import sys
import tempfile
import threading
import time

import boto3
from botocore.config import Config

import cfn
import cloudwatch
import elb
from aws_api import ACCOUNT, REGION, Api, Server
from dataplane import DataPlane
from ecs import Ecs
from health import Health
from procs import Loop, Procs
from schedules import Schedules
from wiki import Wiki

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LAB = os.path.join(ROOT, 'build', 'lab')
PERIOD = 2  # seconds: of the lab's alarms, and of a plan that rehearses in it
ALARM = 'lab-balancer-5xx'


class Lab:
    wiki_kind = Wiki
    rate = 18  # readers' requests a second: half of what two cores serve

    def __init__(self, directory=LAB, say=lambda text: None):
        self.say, self.directory = say, directory
        self.only_one = only_one(directory)
        self.out = os.path.join(directory, 'run')      # what is kept of a run
        shutil.rmtree(self.out, ignore_errors=True)
        os.makedirs(self.out)
        self.tmp = self.short_folder()
        self.procs = Procs(os.path.join(self.out, 'log'))
        self.api = Api(open(os.path.join(self.out, 'api.jsonl'), 'w'))
        self.metrics = cloudwatch.Metrics()
        self.alarms = cloudwatch.Alarms(self.metrics)
        self.health = Health()
        self.wiki = self.wiki_kind(directory, self.tmp, self.procs)
        self.plane = DataPlane(self.procs, self.tmp, self.metrics, self.health)
        self.ecs = Ecs(self.procs, self.tmp, self.wiki, self.health)
        self.keys, self.made, self.load, self.stopping = {}, {}, None, threading.Event()
        self.parts = []

    def short_folder(self):
        """For sockets, whose paths must be short. One that a killed lab left is removed."""
        note = os.path.join(self.directory, 'tmp')
        if os.path.exists(note):
            with open(note) as f:
                shutil.rmtree(f.read().strip(), ignore_errors=True)
        made = tempfile.mkdtemp(prefix='cutover-lab-')
        with open(note, 'w') as f:
            f.write(made)
        return made

    def client(self, who, service):
        """A boto3 client of the lab's API, signing with that principal's key."""
        if (who, service) not in self.made:
            key = self.keys.setdefault(who, None) or self.api.new_key(who)
            self.keys[who] = key
            self.made[who, service] = boto3.session.Session().client(
                service, region_name=REGION, endpoint_url=self.server.url, aws_access_key_id=key.id,
                aws_secret_access_key=key.secret, aws_session_token=key.token,
                config=Config(retries={'total_max_attempts': 1}, disable_request_compression=True))
        return self.made[who, service]

    def clients(self, who):
        return lambda service: self.client(who, service)

    # --- starting --------------------------------------------------------------

    def start(self):
        began = time.monotonic()
        self.install()
        self.server = Server(self.api)
        self.wiki.server = f"http://127.0.0.1:{self.plane.ports['prod']}"
        self.wiki.start(self.say)
        self.say('the load balancer, the AWS end and the blue service')
        self.build()
        self.parts = self.begin()
        for part in self.parts:
            part.start()
        self.wait('blue to be healthy', self.blue_is_healthy, 60)
        self.warm()
        self.say(f'the lab is up after {time.monotonic() - began:.1f} s')

    def begin(self):
        """What has a thread of its own, in the order in which it is started."""
        return [self.plane, self.health, self.ecs, self.schedules, self.alarms]

    def install(self):
        elb.install(self.api, self.health)
        cloudwatch.install(self.api, self.metrics, self.alarms)
        self.ecs.install(self.api)
        self.cfn = cfn.CloudFormation(self.api, self.clients('cloudformation'))
        self.cfn.install()
        self.schedules = Schedules(self.clients('scheduler'))
        self.schedules.install(self.api)

    def build(self):
        """The edge (balancer, listeners, production rule) and blue, as a team would have them."""
        elb_client, ecs_client = self.client('operator', 'elbv2'), self.client('operator', 'ecs')
        subnets = self.client('operator', 'ec2').describe_subnets()['Subnets'][:2]
        self.vpc = subnets[0]['VpcId']
        lb = elb_client.create_load_balancer(Name='lab', Subnets=[s['SubnetId'] for s in subnets])['LoadBalancers'][0]
        self.plane.balancer = lb['LoadBalancerArn'].split('loadbalancer/')[1]
        self.blue = elb_client.create_target_group(
            Name='lab-blue', Protocol='HTTP', Port=8080, VpcId=self.vpc, TargetType='ip',
            HealthCheckPath='/api.php?action=query&meta=siteinfo&format=json', HealthCheckIntervalSeconds=5,
            HealthCheckTimeoutSeconds=4, HealthyThresholdCount=2, UnhealthyThresholdCount=2)['TargetGroups'][0]['TargetGroupArn']
        elb_client.modify_target_group_attributes(TargetGroupArn=self.blue, Attributes=[
            {'Key': 'deregistration_delay.timeout_seconds', 'Value': '10'}])
        closed = [{'Type': 'fixed-response', 'FixedResponseConfig': {'StatusCode': '503', 'ContentType': 'text/plain'}}]
        self.listeners = {}
        for name, port in (('prod', 80), ('test', 8080)):
            made = elb_client.create_listener(LoadBalancerArn=lb['LoadBalancerArn'], Protocol='HTTP', Port=port,
                                              DefaultActions=closed)['Listeners'][0]['ListenerArn']
            self.listeners[name] = made
            self.plane.listeners[made] = name
        self.plane.slot(self.blue)
        self.rule = elb_client.create_rule(
            ListenerArn=self.listeners['prod'], Priority=10, Tags=[{'Key': 'cutover:managed', 'Value': 'true'}],
            Conditions=[{'Field': 'path-pattern', 'PathPatternConfig': {'Values': ['/*']}}],
            Actions=[{'Type': 'forward', 'ForwardConfig': {'TargetGroups': [{'TargetGroupArn': self.blue, 'Weight': 999}]}}],
        )['Rules'][0]['RuleArn']
        ecs_client.create_cluster(clusterName='lab')
        task = ecs_client.register_task_definition(family='blue', containerDefinitions=[
            {'name': 'wiki', 'image': 'mediawiki:' + self.wiki.blue, 'memory': 512, 'portMappings': [{'containerPort': 8080}],
             **self.wiki.container()}])
        ecs_client.create_service(
            cluster='lab', serviceName='blue', desiredCount=2, taskDefinition=task['taskDefinition']['taskDefinitionArn'],
            loadBalancers=[{'targetGroupArn': self.blue, 'containerName': 'wiki', 'containerPort': 8080}])
        self.client('operator', 'cloudwatch').put_metric_alarm(
            AlarmName=ALARM, Namespace='AWS/ApplicationELB', MetricName='HTTPCode_ELB_5XX_Count', Statistic='Sum',
            Dimensions=[{'Name': 'LoadBalancer', 'Value': self.plane.balancer}], Period=PERIOD, EvaluationPeriods=2,
            DatapointsToAlarm=2, Threshold=3, ComparisonOperator='GreaterThanOrEqualToThreshold',
            TreatMissingData='notBreaching')

    def blue_is_healthy(self):
        told = self.health.told(self.blue)
        return len(told) >= 2 and all(t['TargetHealth']['State'] == 'healthy' for t in told) and \
            len(self.plane.targets.get('blue', [])) and self.plane.weights.get('prod:blue') == 999

    def wait(self, what, test, seconds):
        end = time.monotonic() + seconds
        while not test():
            if time.monotonic() > end or self.stopping.is_set():
                raise RuntimeError(f'waited {seconds} s in vain for {what}; logs are in {self.procs.log_dir}')
            time.sleep(0.1)

    def warm(self):
        """First hits are slow (cold opcache): not what readers of a running wiki see."""
        for path in ('/index.php/Page_1', '/rest.php/v1/page/Page_1', '/api.php?action=query&meta=siteinfo&format=json') * 4:
            self.get(path)

    def get(self, path):
        connection = http.client.HTTPConnection('127.0.0.1', self.plane.ports['prod'], timeout=30)
        try:
            connection.request('GET', path)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise RuntimeError(f'{path} answers {answer.status}: {body[:200]!r}; logs are in {self.procs.log_dir}')
        finally:
            connection.close()

    def environment(self):
        """What a client of the lab needs: the variables of plans/lab.json and the keys."""
        key = self.keys.get('controller') or self.api.new_key('controller')
        self.keys['controller'] = key
        return {
            'AWS_ENDPOINT_URL': self.server.url, 'AWS_ACCESS_KEY_ID': key.id, 'AWS_SECRET_ACCESS_KEY': key.secret,
            'AWS_REGION': REGION, 'AWS_DEFAULT_REGION': REGION, 'AWS_CONFIG_FILE': '/dev/null', 'AWS_SHARED_CREDENTIALS_FILE': '/dev/null',
            'AWS_EC2_METADATA_DISABLED': 'true',
            'LAB_REGION': REGION, 'LAB_ACCOUNT': ACCOUNT, 'LAB_RULE': self.rule, 'LAB_BLUE_TG': self.blue,
            'LAB_TEMPLATE': os.path.join(HERE, 'green.yaml'), 'LAB_WIKI': self.wiki.server,
            'LAB_TEST': f"127.0.0.1:{self.plane.ports['test']}", 'LAB_TEST_LISTENER': self.listeners['test'],
            'LAB_VPC': self.vpc, 'LAB_BLUE_VERSION': self.wiki.blue, 'LAB_GREEN_VERSION': self.wiki.green,
            'LAB_ALARM': ALARM, 'LAB_CLUSTER': 'lab', 'LAB_BLUE_SERVICE': 'blue',
        }

    def bugs(self):
        return self.api.bugs + Loop.bugs

    # --- what it looks like ------------------------------------------------------

    def weights(self):
        """{target group ARN: weight} of the production rule, by the API."""
        rule = self.client('operator', 'elbv2').describe_rules(RuleArns=[self.rule])['Rules'][0]
        return elb.weights_of(rule['Actions'])

    def green_share(self):
        weights = self.weights()
        total = sum(weights.values())
        return (total - weights.get(self.blue, 0)) / total if total else 0.0

    def green_services(self):
        return [s.name for s in list(Ecs.backend().services.values()) if s.name != 'blue' and s.status == 'ACTIVE']

    # --- users -------------------------------------------------------------------

    def start_load(self):
        self.users = os.path.join(self.out, 'users.jsonl')
        editors = os.path.join(self.tmp, 'editors')
        with open(os.open(editors, os.O_CREAT | os.O_WRONLY, 0o600), 'w') as f:
            f.writelines(f'{n} {p}\n' for n, p in self.wiki.secret['editors'].items())
        self.load = self.procs.start('load', [sys.executable, os.path.join(HERE, 'load.py'), self.wiki.server, editors,
                                              self.users, str(self.rate)])

    def stop_load(self):
        if self.load:
            self.procs.stop(self.load, 15)
            self.load = None

    def stop(self):
        self.stopping.set()
        for part in self.parts:
            part.end()
        self.procs.stop_all()
        shutil.rmtree(self.tmp, ignore_errors=True)


def only_one(directory):
    """A lock held as long as the process lives: two labs would take each other's files."""
    lock = open(os.path.join(directory, 'lock'), 'a+')
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        raise RuntimeError(f'another lab runs in {directory} (process {lock.read().strip()}): one at a time') from None
    lock.truncate(0)
    lock.write(f'{os.getpid()}\n')
    lock.flush()
    return lock


def on_signals():
    """SIGTERM and SIGHUP end the lab as an exception, so that `finally` tears it down."""
    def end(number, frame):
        raise SystemExit(128 + number)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)


def up():
    lab = None
    on_signals()
    try:
        lab = Lab(say=lambda text: print('lab:', text, file=sys.stderr, flush=True))
        lab.start()
        lab.start_load()
        for name, value in lab.environment().items():
            print(f'export {name}={value}', flush=True)
        signal.pause()
    except KeyboardInterrupt:
        pass
    except RuntimeError as e:
        sys.exit(f'lab: {e}')
    finally:
        if lab:
            lab.stop()


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else 'up'
    if what == 'up':
        up()
    elif what == 'rehearse':
        import rehearse
        sys.exit(rehearse.main())
    elif what == 'demo':
        import demo
        import demo_stacks
        import demo_upgrade
        plan, fault = (sys.argv[2:] + ['', ''])[:2]
        sys.exit(demo.main(fault, {'upgrade': demo_upgrade.UpgradeRun, 'stacks': demo_stacks.StackedRun}.get(plan, demo.Run)))
    else:
        sys.exit(__doc__)


if __name__ == '__main__':
    main()
