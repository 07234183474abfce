"""EventBridge Scheduler: one-time schedules that fire, with an AWS API call as target.

docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
"""
import datetime
import json
import re

from moto.scheduler.models import scheduler_backends

from aws_api import ACCOUNT, REGION
from errors import ApiError
from procs import Loop

UNIVERSAL = re.compile(r'arn:aws:scheduler:::aws-sdk:([a-z0-9]+):([a-z][A-Za-z0-9]+)')
CLIENTS = {'elasticloadbalancingv2': 'elbv2', 'ecs': 'ecs'}
READ_ONLY = ('get', 'describe', 'list', 'poll', 'receive', 'search', 'scan', 'query', 'select', 'read', 'batchGet')


def due_time(expression):
    match = re.fullmatch(r'at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)', expression)
    if not match:
        raise ApiError('ValidationException', f'Invalid Schedule Expression {expression}.')
    try:
        return datetime.datetime.fromisoformat(match[1]).replace(tzinfo=datetime.timezone.utc)
    except ValueError as e:
        raise ApiError('ValidationException', f'Invalid Schedule Expression {expression}.') from e


def check(call):
    p = call.params
    due_time(p['ScheduleExpression'])
    if p.get('ScheduleExpressionTimezone', 'UTC') != 'UTC':
        raise ApiError('ValidationException', 'the lab knows the time zone UTC only')
    match = UNIVERSAL.fullmatch(p['Target']['Arn'])
    if not match or match[1] not in CLIENTS or match[2].startswith(READ_ONLY):
        raise ApiError('ValidationException', f"Invalid target {p['Target']['Arn']}")
    try:
        json.loads(p['Target'].get('Input', '{}'))
    except ValueError as e:
        raise ApiError('ValidationException', f'Invalid RequestJson provided. Reason {e}') from e
    window = p['FlexibleTimeWindow']
    if window['Mode'] == 'OFF' and 'MaximumWindowInMinutes' in window:
        raise ApiError('ValidationException', 'MaximumWindowInMinutes cannot be set with FlexibleTimeWindow OFF')


class Schedules:
    def __init__(self, clients):
        self.clients, self.fired, self.done = clients, [], set()
        self.loop = Loop('scheduler', 0.3, self.tick)

    def install(self, api):
        for action in ('CreateSchedule', 'UpdateSchedule'):
            api.handlers['scheduler', action] = check

    def start(self):
        self.loop.start()

    def end(self):
        self.loop.end()

    def tick(self, now=None):
        now = now or datetime.datetime.now(datetime.timezone.utc)
        for group in list(scheduler_backends[ACCOUNT][REGION].schedule_groups.values()):
            for schedule in list(group.schedules.values()):
                mark = (schedule.arn, schedule.creation_date, schedule.schedule_expression)
                if schedule.state == 'ENABLED' and mark not in self.done and due_time(schedule.schedule_expression) <= now:
                    self.done.add(mark)
                    self.fire(schedule)
                    if schedule.action_after_completion == 'DELETE':
                        group.schedules.pop(schedule.name, None)

    def fire(self, schedule):
        service, action = UNIVERSAL.fullmatch(schedule.target['Arn']).groups()
        client = self.clients(CLIENTS[service])
        wanted = action[0].upper() + action[1:]
        method = next((m for m, a in client.meta.method_to_api_mapping.items() if a == wanted), None)
        try:
            getattr(client, method)(**json.loads(schedule.target.get('Input', '{}')))
            self.fired.append((schedule.name, 'done'))
        except Exception as e:
            self.fired.append((schedule.name, str(e)))
