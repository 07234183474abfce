"""Target health, by asking the targets: each registered target of a group that a
rule names is checked over HTTP as the group's health check says.

The lab's clock for checks and for the deregistration delay runs SPEED times
as fast as configured, so that templates can hold values that AWS accepts.
"""
import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import elb
from procs import Loop

SPEED = 5


class Target:
    def __init__(self, target_id, port):
        self.id, self.port = target_id, port
        self.state, self.reason, self.description = 'initial', 'Elb.RegistrationInProgress', 'Target registration is in progress'
        self.good = self.bad = 0
        self.next = 0.0
        self.draining_until = None

    def told(self, in_use):
        if self.draining_until is not None:
            state, reason, text = 'draining', 'Target.DeregistrationInProgress', 'Target deregistration is in progress'
        elif not in_use:
            state, reason, text = 'unused', 'Target.NotInUse', 'Target group is not configured to receive traffic from the load balancer'
        else:
            state, reason, text = self.state, self.reason, self.description
        health = {'State': state}
        if reason:
            health.update(Reason=reason, Description=text)
        return {'Target': {'Id': self.id, 'Port': self.port}, 'HealthCheckPort': str(self.port), 'TargetHealth': health}


class Health:
    def __init__(self):
        self.targets, self.lock, self.loop = {}, threading.RLock(), Loop('health', 0.1, self.tick)
        self.pool = ThreadPoolExecutor(8, 'health')

    def start(self):
        self.loop.start()

    def end(self):
        self.loop.end()
        self.pool.shutdown(wait=False, cancel_futures=True)

    def register(self, arn, target_id, port):
        with self.lock:
            self.targets.setdefault(arn, {})[target_id, port] = Target(target_id, port)

    def deregister(self, arn, target_id, port):
        """Starts draining; gone after the group's deregistration delay."""
        with self.lock:
            target = self.targets.get(arn, {}).get((target_id, port))
            group = elb.backend().target_groups.get(arn)
            if target and target.draining_until is None:
                delay = float(group.attributes['deregistration_delay.timeout_seconds']) if group else 0
                target.draining_until = time.monotonic() + delay / SPEED

    def is_registered(self, arn, target_id, port):
        with self.lock:
            return (target_id, port) in self.targets.get(arn, {})

    def told(self, arn):
        in_use = arn in elb.groups_in_use()
        with self.lock:
            return [t.told(in_use) for t in self.targets.get(arn, {}).values()]

    def tick(self):
        now = time.monotonic()
        in_use = elb.groups_in_use()
        with self.lock:
            for arn in list(self.targets):
                group = elb.backend().target_groups.get(arn)
                if group is None:
                    del self.targets[arn]
                    continue
                self.tick_group(group, self.targets[arn], arn in in_use, now)

    def tick_group(self, group, targets, in_use, now):
        for key, target in list(targets.items()):
            if target.draining_until is not None:
                if now >= target.draining_until:
                    del targets[key]
            elif not in_use:
                target.state, target.reason, target.good, target.bad = 'initial', 'Elb.InitialHealthChecking', 0, 0
                target.description = 'Initial health checks in progress'
            elif now >= target.next:
                target.next = now + int(group.health_check_interval_seconds) / SPEED
                self.pool.submit(self.check, group, target)

    def check(self, group, target):
        reason, text = probe(target.id, target.port, group.health_check_path or '/',
                             int(group.health_check_timeout_seconds), group.matcher.get('HttpCode', '200'))
        with self.lock:
            judge(target, reason, text, int(group.healthy_threshold_count), int(group.unhealthy_threshold_count))


def judge(target, reason, text, healthy_after, unhealthy_after):
    """One check's outcome; reason None is a pass. A new target is healthy after its
    first pass, an unhealthy one after healthy_after of them."""
    if reason is None:
        target.good, target.bad = target.good + 1, 0
        if target.state == 'initial' or target.good >= healthy_after:
            target.state, target.reason, target.description = 'healthy', None, None
    else:
        target.bad, target.good = target.bad + 1, 0
        if target.bad >= unhealthy_after:
            target.state, target.reason, target.description = 'unhealthy', reason, text
    if target.state == 'initial':
        target.reason, target.description = 'Elb.InitialHealthChecking', 'Initial health checks in progress'


def matches(matcher, status):
    for part in matcher.split(','):
        low, _, high = part.partition('-')
        if int(low) <= status <= int(high or low):
            return True
    return False


def probe(host, port, path, timeout, matcher):
    """(None, None) when the target passes, else (reason, description) as AWS words them."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request('GET', path, headers={'User-Agent': 'ELB-HealthChecker/2.0', 'Connection': 'close'})
        response = connection.getresponse()
        response.read()
    except TimeoutError:
        return 'Target.Timeout', 'Request timed out'
    except (OSError, http.client.HTTPException):
        return 'Target.FailedHealthChecks', 'Health checks failed'
    finally:
        connection.close()
    if not matches(matcher, response.status):
        return 'Target.ResponseCodeMismatch', f'Health checks failed with these codes: [{response.status}]'
    return None, None
