"""ECS: services that really run. A task is a php-fpm master and a web server
(HAProxy speaking FastCGI to it) on a loopback address of its own; its image is
mediawiki:VERSION, one of the unpacked trees. When one of the two dies the task is
over, and the service starts another.
"""
import json
import os
import threading
import time
import uuid

from moto.core.utils import utcnow
from moto.ecs import models as ecs_models
from moto.secretsmanager.models import secretsmanager_backends

import elb
from aws_api import ACCOUNT, REGION
from dataplane import admin
from errors import ApiError
from procs import Loop, free_port, wait_port

CHILDREN = 2
START_TIMEOUT = 20
NOTICE_S = 4.0   # until ECS sees that a task has died; its target stays registered so long
RESTART_S = 3.0

FPM = '''
[global]
error_log = {log}
daemonize = no
[task]
listen = {sock}
pm = static
pm.max_children = {children}
clear_env = no
catch_workers_output = yes
php_admin_value[error_log] = {log}
php_admin_value[memory_limit] = 256M
php_admin_flag[log_errors] = on
'''
WEB = '''
global
  stats socket {admin} mode 600 level admin
  lua-load {lua}
  set-var proc.err int(0)
  set-var proc.delay int(0)
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
  timeout http-keep-alive 60s
fcgi-app wiki
  docroot {tree}
  index index.php
  no option keep-conn
  path-info ^(/[a-z_]+\\.php)(/.*)?$
listen web
  bind {host}:{port}
  acl check req.hdr(user-agent) -m beg ELB-HealthChecker
  http-request lua.delay unless check
  http-request return status 500 content-type text/plain string "fault of the lab" if {{ rand(1000),sub(proc.err) -m int lt 0 }} !check
  use-fcgi-app wiki
  server fpm unix@{sock} proto fcgi
'''


def php_fpm():
    for folder in ('/usr/sbin', '/usr/bin', '/usr/local/sbin'):
        for name in sorted(os.listdir(folder) if os.path.isdir(folder) else [], reverse=True):
            if name.startswith('php-fpm'):
                return os.path.join(folder, name)
    raise RuntimeError('php-fpm is not installed: run tests/deps demo')


def secret_value(reference):
    """"arn:...:secret:name-xxxxxx:key::" of Secrets Manager, or without a key the whole value.
    docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html"""
    parts = reference.split(':')
    text = secretsmanager_backends[ACCOUNT][REGION].get_secret_value(':'.join(parts[:7]), '', '')['SecretString']
    return json.loads(text)[parts[7]] if len(parts) > 7 and parts[7] else text


class Task:
    """One running task. state: PENDING, RUNNING, STOPPING, STOPPED."""
    count = 0

    def __init__(self, ecs, service, number):
        self.ecs, self.service, self.number = ecs, service, number
        Task.count += 1
        self.id = uuid.uuid4().hex
        self.host, self.port = f'127.77.{Task.count // 200}.{Task.count % 200 + 1}', 0
        self.short = os.path.join(ecs.run, f't{Task.count}')
        self.definition, self.state, self.programs = service.task_definition, 'PENDING', []
        self.died = None
        self.groups = [b['targetGroupArn'] for b in service.load_balancers if b.get('targetGroupArn')]

    def start(self):
        """Both programs, then the port: true when the task runs."""
        image, env = self.ecs.container(self.definition)
        version = image.partition(':')[2]
        tree = self.ecs.wiki.tree(version)
        if tree is None or self.service.name in self.ecs.broken:
            return False
        cache = os.path.join(self.ecs.run, f'cache-{self.service.name}')
        os.makedirs(cache, exist_ok=True)
        self.port = free_port(self.host)
        self.run_fpm(tree, {**self.ecs.wiki.environment(cache), **env})
        self.run_web(tree)
        return wait_port(self.host, self.port, START_TIMEOUT, self.programs[1]) and self.alive()

    def run_fpm(self, tree, env):
        with open(self.short + '.conf', 'w') as f:
            f.write(FPM.format(log=os.path.join(self.ecs.procs.log_dir, f'php-{self.service.name}.log'),
                               sock=self.short + '.sock', children=CHILDREN))
        argv = [php_fpm(), '-d', 'opcache.max_accelerated_files=20000', '-d', 'opcache.memory_consumption=96', '-d', 'opcache.validate_timestamps=0',
                '-y', self.short + '.conf']
        if os.getuid() == 0:
            argv.insert(1, '-R')
        self.programs.append(self.ecs.procs.start(f'fpm-{self.service.name}-{self.number}', argv, env))
        end = time.monotonic() + START_TIMEOUT
        while not os.path.exists(self.short + '.sock') and self.alive() and time.monotonic() < end:
            time.sleep(0.02)

    def run_web(self, tree):
        with open(self.short + '.cfg', 'w') as f:
            f.write(WEB.format(admin=self.short + '.adm', lua=os.path.join(os.path.dirname(__file__), 'delay.lua'),
                               tree=tree, host=self.host, port=self.port, sock=self.short + '.sock'))
        self.programs.append(self.ecs.procs.start(f'web-{self.service.name}-{self.number}',
                                                  ['haproxy', '-db', '-f', self.short + '.cfg']))

    def alive(self):
        return bool(self.programs) and all(p.poll() is None for p in self.programs)

    def set(self, name, value):
        admin(self.short + '.adm', f'experimental-mode on; set var proc.{name} int({int(value)})')

    def kill(self):
        for program in self.programs[::-1]:
            self.ecs.procs.stop(program)
        self.programs, self.state = [], 'STOPPED'

    def register(self):
        for arn in self.groups:
            self.ecs.health.register(arn, self.host, self.port)

    def deregister(self):
        for arn in self.groups:
            self.ecs.health.deregister(arn, self.host, self.port)

    def drained(self):
        return not any(self.ecs.health.is_registered(a, self.host, self.port) for a in self.groups)


class Ecs:
    """Follows moto's services: starts, registers, drains and stops tasks."""

    def __init__(self, procs, run, wiki, health):
        self.procs, self.run, self.wiki, self.health = procs, run, wiki, health
        self.tasks, self.lock, self.loop = {}, threading.RLock(), Loop('ecs', 0.1, self.follow)
        self.broken = set()    # services whose tasks cannot start any more
        self.not_before = {}   # service: no new task before this time
        self.faults = {}       # service: {'err': permille, 'delay': ms}
        # moto says running as soon as asked; here it is what runs
        for name, state in (('running_count', ('RUNNING',)), ('pending_count', ('PENDING',))):
            setattr(ecs_models.Service, name, property(
                lambda s, state=state: self.count(s, state), lambda s, v: None))

    @staticmethod
    def backend():
        return ecs_models.ecs_backends[ACCOUNT][REGION]

    def container(self, definition):
        """(image, {name: value}) of the first container."""
        first = self.backend().describe_task_definition(definition).container_definitions[0]
        return first['image'], self.variables(first)

    def variables(self, container):
        """Its environment, with the secrets that ECS puts there."""
        env = {e['name']: e['value'] for e in container.get('environment', [])}
        return env | {s['name']: secret_value(s['valueFrom']) for s in container.get('secrets', [])}

    def of(self, service):
        return self.tasks.get(service.arn, [])

    def count(self, service, states):
        if not hasattr(service, 'name'):
            return 0
        with self.lock:
            return sum(t.state in states for t in self.of(service))

    def start(self):
        self.loop.start()

    def end(self):
        self.loop.end()

    def follow(self):
        services = {s.arn: s for s in list(self.backend().services.values())}
        with self.lock:
            for arn in set(self.tasks) | set(services):
                self.tick(services.get(arn), arn)

    def tick(self, service, arn):
        tasks = self.tasks.setdefault(arn, [])
        for task in tasks:
            self.tick_task(task)
        self.tasks[arn] = tasks = [t for t in tasks if t.state != 'STOPPED']
        wanted = service.desired_count if service and service.status == 'ACTIVE' else 0
        up = [t for t in tasks if t.state in ('PENDING', 'RUNNING')]
        for task in up[wanted:]:
            task.state = 'STOPPING'
            task.deregister()
        if service and len(up) < wanted and time.monotonic() >= self.not_before.get(arn, 0):
            self.launch(service, len(up))
        if service and service.deployments:
            self.tell(service)

    def tick_task(self, task):
        if task.state == 'STOPPING' and task.drained():
            task.kill()
        elif task.state == 'RUNNING' and not task.alive():
            task.died = task.died or time.monotonic()
            if time.monotonic() < task.died + NOTICE_S:
                return
            self.event(task.service, f'(service {task.service.name}) task {task.id[:8]} stopped: essential container exited')
            task.deregister()
            task.kill()
            self.not_before[task.service.arn] = time.monotonic() + RESTART_S

    def launch(self, service, number):
        task = Task(self, service, number)
        self.tasks[service.arn].append(task)
        threading.Thread(target=self.bring_up, args=(task,), daemon=True).start()

    def bring_up(self, task):
        try:
            runs = task.start()
        except Exception as e:
            runs = False
            self.event(task.service, f'(service {task.service.name}) was unable to place a task: {e}')
        with self.lock:
            if runs and task.state == 'PENDING':
                for name, value in self.faults.get(task.service.name, {}).items():
                    task.set(name, value)
                task.state = 'RUNNING'
                task.register()
                self.event(task.service, f'(service {task.service.name}) has started 1 tasks: (task {task.id[:8]})')
                return
            self.not_before[task.service.arn] = time.monotonic() + RESTART_S
            task.kill()

    def event(self, service, message):
        service.events.insert(0, {'id': str(uuid.uuid4()), 'createdAt': utcnow(), 'message': message})
        del service.events[100:]

    def tell(self, service):
        first = service.deployments[0]
        first.update(desiredCount=service.desired_count, runningCount=service.running_count,
                     pendingCount=service.pending_count, taskDefinition=service.task_definition)
        if service.running_count == service.desired_count:
            first['rolloutState'] = 'COMPLETED'
            first['rolloutStateReason'] = f"ECS deployment {first['id']} completed."

    # --- faults ------------------------------------------------------------

    def named(self, name):
        with self.lock:
            return [t for ts in self.tasks.values() for t in ts if t.service.name == name and t.state == 'RUNNING']

    def inject(self, name, **values):
        """err=permille of 500s, delay=ms, for every task of that service, also later ones."""
        with self.lock:
            self.faults.setdefault(name, {}).update(values)
            for task in self.named(name):
                for key, value in values.items():
                    task.set(key, value)

    def break_service(self, name):
        """Its processes die, and no new one starts."""
        with self.lock:
            self.broken.add(name)
            for task in self.named(name):
                for program in task.programs:
                    self.procs.signal(program, 9)

    # --- what AWS refuses ----------------------------------------------------

    def check_create(self, call):
        cluster = call.params.get('cluster', 'default').split('/')[-1]
        name = f"{cluster}:{call.params['serviceName']}"
        old = self.backend().services.get(name)
        if old and old.status == 'ACTIVE':
            raise ApiError('InvalidParameterException', 'Creation of service was not idempotent.')
        for balancer in call.params.get('loadBalancers', []):
            arn = balancer.get('targetGroupArn')
            if arn not in elb.backend().target_groups:
                raise ApiError('InvalidParameterException', f'Unable to assume the target group {arn}: it does not exist.')
            if arn not in elb.groups_in_use():
                raise ApiError('InvalidParameterException', f'The target group with targetGroupArn {arn} does not have '
                                                            'an associated load balancer.')

    def check_delete(self, call):
        cluster = call.params.get('cluster', 'default').split('/')[-1]
        service = self.backend().services.get(f"{cluster}:{call.params['service'].split('/')[-1]}")
        if service and service.desired_count > 0 and not call.params.get('force'):
            raise ApiError('InvalidParameterException', 'The service cannot be stopped while it is scaled above 0.')

    def install(self, api):
        def guard(check):
            return lambda call: check(call)
        api.handlers['ecs', 'CreateService'] = guard(self.check_create)
        api.handlers['ecs', 'DeleteService'] = guard(self.check_delete)
