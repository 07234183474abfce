"""The load balancer's data plane: HAProxy, told what the API's rules and target
health say, some time after they say it; its log becomes CloudWatch's numbers.

Weights 0-999 decide per request, as ALB does: HAProxy's own end at 256, so the
choice is made in the frontend from a map (w.map). A target group is a backend;
its servers are filled in while it runs.
"""
import os
import random
import socket
import threading
import time

import elb
from aws_api import REGION
from procs import Loop, free_port, wait_port

GROUPS = 4        # backends: blue, green, and greens of later attempts
SERVERS = 8       # targets per group
PROPAGATION = (0.6, 1.4)  # seconds until a written weight decides
NAMES = ['blue', 'green', 'green2', 'green3']

CONFIG = '''
global
  maxconn 2000
  stats socket {run}/alb.sock mode 600 level admin
  stats timeout 1h
  log 127.0.0.1:{udp} len 1024 format raw local0
defaults
  mode http
  log global
  timeout connect 2s
  timeout client 30s
  timeout server 15s
  timeout http-keep-alive 60s
  retries 0
  option http-server-close
  log-format "%b|%s|%ST|%Tr|%tsc|%f"
'''
FRONTEND = '''
frontend {name}
  bind 127.0.0.1:{port}
{weights}
  http-request set-var(txn.sum) {total}
  http-request return status 503 content-type text/plain string "no target group" if {{ var(txn.sum) -m int eq 0 }}
  http-request set-var(txn.pick) rand(1000000000),mod(txn.sum)
  http-request set-var(txn.group) str(blue)
{choice}
  http-after-response set-header X-Lab-Server alb if !{{ res.hdr(X-Lab-Server) -m found }}
  use_backend %[var(txn.group)]
'''
BACKEND = '''
backend {name}
  balance roundrobin
  http-response set-var(txn.answered) bool(true)
  http-after-response set-status 502 if {{ status 503 }} {{ nbsrv gt 0 }} !{{ var(txn.answered) -m bool }}
  http-after-response set-header X-Lab-Server {name}
{servers}
'''


def frontend(name, port, map_file):
    weights, choice = [], []
    for i, group in enumerate(NAMES):
        weights.append(f'  http-request set-var(txn.w{i}) str({name}:{group}),map_str_int({map_file},0)')
    for i, group in enumerate(NAMES[1:], 1):
        # pick is past blue's, green's, ... shares: the next group, if it has any share
        below = ''.join(f',sub(txn.w{k})' for k in range(i))
        choice.append(f'  http-request set-var(txn.group) str({group}) if {{ var(txn.pick){below} -m int ge 0 }} '
                      f'{{ var(txn.w{i}) -m int gt 0 }}')
    total = 'var(txn.w0)' + ''.join(f',add(txn.w{i})' for i in range(1, GROUPS))
    return FRONTEND.format(name=name, port=port, weights='\n'.join(weights), total=total, choice='\n'.join(choice))


def config(run, udp, ports):
    text = CONFIG.format(run=run, udp=udp)
    for name, port in ports.items():
        text += frontend(name, port, os.path.join(run, 'w.map'))
    for name in NAMES:
        servers = '\n'.join(f'  server t{i} 127.0.0.1:1 disabled' for i in range(SERVERS))
        text += BACKEND.format(name=name, servers=servers)
    return text


class DataPlane:
    """listeners: {listener ARN: 'prod' | 'test'}, filled in when the API has them."""

    def __init__(self, procs, run, metrics, health):
        self.procs, self.run, self.metrics, self.health = procs, run, metrics, health
        self.listeners, self.balancer, self.slots = {}, '', {}
        self.weights, self.pending, self.targets = {}, [], {}
        self.ports = {'prod': free_port(), 'test': free_port()}
        self.loop, self.stop = Loop('alb', 0.1, self.follow), threading.Event()
        self.log_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.log_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.log_socket.bind(('127.0.0.1', 0))

    def start(self):
        with open(os.path.join(self.run, 'w.map'), 'w') as f:
            f.writelines(f'{li}:{g} 0\n' for li in self.ports for g in NAMES)
        path = os.path.join(self.run, 'alb.cfg')
        with open(path, 'w') as f:
            f.write(config(self.run, self.log_socket.getsockname()[1], self.ports))
        self.program = self.procs.start('alb', ['haproxy', '-db', '-f', path])
        if not wait_port('127.0.0.1', self.ports['prod'], 10, self.program):
            raise RuntimeError('the load balancer did not start: see alb.log')
        threading.Thread(target=self.read_log, daemon=True, name='alb-log').start()
        self.loop.start()

    def end(self):
        self.loop.end()
        self.stop.set()

    def command(self, *lines):
        return admin(os.path.join(self.run, 'alb.sock'), *lines)

    def slot(self, arn):
        """The backend of a target group; blue is the first ever, freed ones are reused."""
        if arn not in self.slots:
            gone = [a for a in self.slots if a not in elb.backend().target_groups]
            for a in gone:
                del self.slots[a]
            free = [n for n in NAMES if n not in self.slots.values()]
            if not free:
                raise RuntimeError('more target groups than the lab has backends')
            self.slots[arn] = free[0]
        return self.slots[arn]

    # --- rules and health to HAProxy ---------------------------------------

    def follow(self):
        now = time.monotonic()
        wanted = self.wanted_weights()
        if wanted != (self.pending[-1][1] if self.pending else self.weights):
            self.pending.append((now + random.uniform(*PROPAGATION), wanted))
        while self.pending and self.pending[0][0] <= now:
            self.set_weights(self.pending.pop(0)[1])
        self.set_targets()

    def wanted_weights(self):
        """{'prod:blue': weight} as the rules say; the default rule counts when it is alone."""
        out = {f'{li}:{g}': 0 for li in self.ports for g in NAMES}
        by_listener = {}
        for listener, rule in elb.all_rules():
            best = by_listener.get(listener.arn)
            rank = (1, 0) if rule.is_default else (0, int(rule.priority))
            if best is None or rank < best[0]:
                by_listener[listener.arn] = (rank, rule)
        for arn, (_, rule) in by_listener.items():
            for group, weight in elb.rule_weights(rule).items():
                if arn in self.listeners:
                    out[f'{self.listeners[arn]}:{self.slot(group)}'] = weight
        return out

    def set_weights(self, wanted):
        path = os.path.join(self.run, 'w.map')
        self.command(*(f'set map {path} {key} {weight}' for key, weight in wanted.items()
                       if weight != self.weights.get(key)))
        self.weights = wanted

    def set_targets(self):
        """Healthy targets get requests; when none is, all do (ALB fails open)."""
        for arn in list(elb.backend().target_groups):
            told = self.health.told(arn)
            live = [t for t in told if t['TargetHealth']['State'] in ('healthy', 'unhealthy', 'initial')]
            good = [t for t in live if t['TargetHealth']['State'] == 'healthy'] or live
            addresses = sorted((t['Target']['Id'], t['Target']['Port']) for t in good)[:SERVERS]
            name = self.slot(arn)
            if addresses == self.targets.get(name, []):
                continue
            self.set_servers(name, addresses)
        for name in set(self.targets) - {self.slots.get(a) for a in elb.backend().target_groups}:
            if self.targets[name]:
                self.set_servers(name, [])

    def set_servers(self, name, addresses):
        """A target keeps its server while it stays, so that nothing is cut that need not be."""
        old = dict(enumerate(self.targets.get(name, [None] * SERVERS)))
        servers = [old.get(i) if old.get(i) in addresses else None for i in range(SERVERS)]
        lines = []
        for address in addresses:
            if address not in servers:
                i = servers.index(None)
                servers[i] = address
                lines += [f'set server {name}/t{i} addr {address[0]} port {address[1]}',
                          f'set server {name}/t{i} state ready']
        lines += [f'set server {name}/t{i} state maint' for i, a in enumerate(servers) if a is None]
        self.command(*lines)
        self.targets[name] = servers if any(servers) else []

    # --- HAProxy's log to CloudWatch ---------------------------------------

    def read_log(self):
        while not self.stop.is_set():
            try:
                line = self.log_socket.recv(2048).decode('utf-8', 'replace').strip()
            except OSError:
                return
            self.count(line, time.time())

    def count(self, line, at):
        """One request. As at AWS: an answer of a target is its HTTPCode_Target_nXX; no
        connection is its TargetConnectionErrorCount and the balancer's 5XX."""
        try:
            backend, server, status, response_ms, ended, _ = line.split('|')
        except ValueError:
            return
        group = next((a for a, n in self.slots.items() if n == backend), None)
        balancer = {'LoadBalancer': self.balancer}
        both = {'TargetGroup': group.split(':', 5)[5], **balancer} if group else None
        names = ['RequestCount'] if group and server != '<NOSRV>' else []
        from_target = ended[1] in '-DL'  # termination state: where it ended; these are after the headers
        if from_target and names:
            names.append(f'HTTPCode_Target_{status[0]}XX_Count')
        elif ended[:2] in ('SC', 'sC') and names:
            names.append('TargetConnectionErrorCount')
        for name in names:
            self.metrics.add('AWS/ApplicationELB', name, both, 1, at)
            self.metrics.add('AWS/ApplicationELB', name, {'AvailabilityZone': zone_of(server), **both}, 1, at)
            self.metrics.add('AWS/ApplicationELB', name, balancer, 1, at)
        if from_target and names and int(response_ms) >= 0:
            for dims in (both, {'AvailabilityZone': zone_of(server), **both}, balancer):
                self.metrics.add('AWS/ApplicationELB', 'TargetResponseTime', dims, int(response_ms) / 1000, at)
        if not (from_target and names) and status[0] == '5':
            for name in ('HTTPCode_ELB_5XX_Count', f'HTTPCode_ELB_{status}_Count'):
                self.metrics.add('AWS/ApplicationELB', name, balancer, 1, at)


def zone_of(server):
    """Targets take turns in two zones: t0 in the first, t1 in the second."""
    return REGION + 'ab'[int(server.removeprefix('t')) % 2 if server.removeprefix('t').isdigit() else 0]


def admin(path, *lines):
    """The answer of HAProxy's admin socket."""
    if not lines:
        return ''
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(path)
        s.sendall((';'.join(lines) + '\n').encode())
        answer = b''
        while part := s.recv(65536):
            answer += part
    return answer.decode()
