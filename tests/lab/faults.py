"""Faults of the AWS end: what a client must survive.

Each rule hits calls of one principal with some probability or for some count:
  throttle  Rate exceeded, nothing done
  error     500 InternalFailure, nothing done
  reset     the connection is reset before the call is done
  lost      the call is done and the connection is reset: the answer is lost
  slow      the answer comes late
  truncate  the answer ends in the middle
"""
import random
import re
import threading

KINDS = ('throttle', 'error', 'reset', 'lost', 'slow', 'truncate')


class Faults:
    def __init__(self, seed=None):
        self.rules, self.lock, self.random = [], threading.Lock(), random.Random(seed)
        self.hits = {}

    def add(self, kinds, who='controller', service='.*', action='.*', share=1.0, count=None, skip=0, delay=2.0):
        unknown = set(kinds) - set(KINDS)
        if unknown:
            raise ValueError(f'unknown faults {unknown}')
        rule = dict(kinds=list(kinds), who=who, service=service, action=action, share=share, count=count,
                    skip=skip, delay=delay)
        with self.lock:
            self.rules.append(rule)
        return rule

    def clear(self):
        with self.lock:
            self.rules.clear()

    def pick(self, who, service, action):
        """(kind, rule) for this call, or (None, None)."""
        with self.lock:
            for rule in self.rules:
                if self.applies(rule, who, service, action):
                    kind = self.random.choice(rule['kinds'])
                    self.hits[kind] = self.hits.get(kind, 0) + 1
                    return kind, rule
        return None, None

    def applies(self, rule, who, service, action):
        if who != rule['who'] or not re.fullmatch(rule['service'], service) or \
                not re.fullmatch(rule['action'], action) or rule['count'] == 0:
            return False
        if rule['skip'] > 0:
            rule['skip'] -= 1
            return False
        if self.random.random() >= rule['share']:
            return False
        if rule['count'] is not None:
            rule['count'] -= 1
        return True
