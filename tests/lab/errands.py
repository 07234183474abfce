"""ECS's one-off tasks: RunTask really runs the command, with the environment and the
secrets of its task definition, in the unpacked tree that its image names.

docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
"""
import datetime
import os
import shutil
import threading
import uuid

from aws_api import ACCOUNT, REGION
from errors import ApiError
from procs import Loop

START_S = 0.3  # from RunTask until the command runs; Fargate takes half a minute
CLUSTER = f'arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/'


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def refuse(text):
    raise ApiError('InvalidParameterException', text)


class Errand:
    """One task. status: PROVISIONING, RUNNING, STOPPED."""
    count = 0

    def __init__(self, params, definition, container):
        Errand.count += 1
        self.number, self.params, self.definition, self.container = Errand.count, params, definition, container
        self.cluster = params.get('cluster', 'default').split('/')[-1]
        self.arn = f'arn:aws:ecs:{REGION}:{ACCOUNT}:task/{self.cluster}/{uuid.uuid4().hex}'
        self.status, self.created, self.started, self.stopped = 'PROVISIONING', now(), None, None
        self.program = self.exit_code = self.code = self.reason = self.why = None
        override = (params.get('overrides', {}).get('containerOverrides') or [{}])[0]
        self.command = override.get('command') or container.get('command') or []
        self.environment = {e['name']: e['value'] for e in override.get('environment', [])}

    def told(self):
        box = {'containerArn': self.arn.replace(':task/', ':container/'), 'taskArn': self.arn, 'name': self.container['name'],
               'image': self.container['image'], 'lastStatus': self.status, 'networkInterfaces': []}
        box.update({k: v for k, v in (('exitCode', self.exit_code), ('reason', self.why)) if v is not None})
        out = {'taskArn': self.arn, 'clusterArn': CLUSTER + self.cluster, 'taskDefinitionArn': self.definition.arn,
               'lastStatus': self.status, 'desiredStatus': 'STOPPED' if self.code else 'RUNNING', 'createdAt': self.created,
               'containers': [box], 'overrides': self.params.get('overrides', {}), 'version': 1,
               'group': self.params.get('group', f'family:{self.definition.family}')}
        for key, value in (('startedBy', self.params.get('startedBy')), ('launchType', self.params.get('launchType')),
                           ('startedAt', self.started), ('stoppedAt', self.stopped), ('stopCode', self.code),
                           ('stoppedReason', self.reason)):
            if value is not None:
                out[key] = value
        return out

    def ran(self):
        """Seconds its command ran."""
        return (self.stopped - self.started).total_seconds() if self.started and self.stopped else 0.0


class Errands:
    """on_stop(errand): called when a command has ended, before anybody is told."""

    def __init__(self, ecs):
        self.ecs, self.all, self.lock = ecs, [], threading.RLock()
        self.on_start, self.on_stop = lambda errand: None, lambda errand: None
        self.loop = Loop('errands', 0.03, self.follow)

    def start(self):
        self.loop.start()

    def end(self):
        self.loop.end()

    # --- running ---------------------------------------------------------------

    def follow(self):
        with self.lock:
            for errand in self.all:
                if errand.status == 'PROVISIONING' and (now() - errand.created).total_seconds() >= START_S:
                    self.launch(errand)
                elif errand.status == 'RUNNING' and errand.program.poll() is not None:
                    self.finish(errand)

    def launch(self, errand):
        tree = self.ecs.wiki.tree(errand.container['image'].partition(':')[2])
        if tree is None or not errand.command or not shutil.which(errand.command[0]):
            errand.why = 'CannotStartContainerError: the image or the command is not there'
            self.over(errand, 'TaskFailedToStart', errand.why)
            return
        cache = os.path.join(self.ecs.run, f'cache-errand-{errand.number}')
        os.makedirs(cache)
        env = {**self.ecs.wiki.environment(cache), **self.ecs.variables(errand.container), **errand.environment}
        errand.program = self.ecs.procs.start(f'errand-{errand.number}', errand.command, env, tree)
        errand.status, errand.started = 'RUNNING', now()
        self.on_start(errand)

    def finish(self, errand):
        code = errand.program.returncode
        errand.exit_code = 128 - code if code < 0 else code  # as a shell would tell of a signal
        self.ecs.procs.stop(errand.program)
        if not errand.code:
            self.over(errand, 'EssentialContainerExited', 'Essential container in task exited')
        else:
            self.over(errand, errand.code, errand.reason)

    def over(self, errand, code, reason):
        errand.stopped = now()
        self.on_stop(errand)
        errand.code, errand.reason, errand.status = code, reason, 'STOPPED'

    # --- the API ------------------------------------------------------------------

    def definition(self, name):
        try:
            return self.ecs.backend().describe_task_definition(name)
        except Exception as e:
            raise ApiError('ClientException', 'TaskDefinition not found.') from e

    def check(self, params, definition):
        if params.get('cluster', 'default').split('/')[-1] not in self.ecs.backend().clusters:
            raise ApiError('ClusterNotFoundException', 'Cluster not found.')
        if params.get('count', 1) != 1:
            refuse('the lab starts one task at a time')
        own_network = definition.network_mode == 'awsvpc'
        if own_network and 'networkConfiguration' not in params:
            refuse("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
        if not own_network and 'networkConfiguration' in params:
            refuse('Network Configuration is not valid for the given networkMode of this task definition.')
        if params.get('launchType') == 'FARGATE' and 'FARGATE' not in (definition.requires_compatibilities or []):
            refuse('Task definition does not support launch_type FARGATE.')

    def run_task(self, call):
        p = call.params
        definition = self.definition(p['taskDefinition'])
        self.check(p, definition)
        boxes = {c['name']: c for c in definition.container_definitions}
        wanted = [o.get('name') for o in p.get('overrides', {}).get('containerOverrides', [])]
        for name in wanted:
            if name not in boxes:
                refuse(f'Override for container named {name} is not a container in the TaskDefinition.')
        with self.lock:
            for old in self.all:
                if p.get('clientToken') and old.params.get('clientToken') == p['clientToken']:
                    if old.params != p:
                        raise ApiError('ConflictException', 'Arguments on this idempotent request are inconsistent with '
                                                            'arguments used in previous request(s).')
                    return {'tasks': [old.told()], 'failures': []}
            errand = Errand(p, definition, boxes[wanted[0]] if wanted else definition.container_definitions[0])
            self.all.append(errand)
            return {'tasks': [errand.told()], 'failures': []}

    def find(self, name):
        return next((t for t in self.all if name in (t.arn, t.arn.split('/')[-1])), None)

    def describe_tasks(self, call):
        with self.lock:
            found = {name: self.find(name) for name in call.params['tasks']}
            return {'tasks': [t.told() for t in found.values() if t],
                    'failures': [{'arn': n, 'reason': 'MISSING'} for n, t in found.items() if t is None]}

    def list_tasks(self, call):
        p = call.params
        with self.lock:
            stopped = p.get('desiredStatus', 'RUNNING') == 'STOPPED'
            return {'taskArns': [t.arn for t in self.all if bool(t.code) == stopped
                                 and ('startedBy' not in p or t.params.get('startedBy') == p['startedBy'])]}

    def stop_task(self, call):
        with self.lock:
            errand = self.find(call.params['task'])
            if errand is None:
                raise ApiError('InvalidParameterException', 'The referenced task was not found.')
            if not errand.code:
                errand.code, errand.reason = 'UserInitiated', call.params.get('reason', 'Task stopped by user')
                if errand.program:
                    self.ecs.procs.signal(errand.program, 15)
                else:
                    self.over(errand, errand.code, errand.reason)
            return {'task': errand.told()}

    def install(self, api):
        for action, handler in (('RunTask', self.run_task), ('DescribeTasks', self.describe_tasks),
                                ('ListTasks', self.list_tasks), ('StopTask', self.stop_task)):
            api.handlers['ecs', action] = handler
