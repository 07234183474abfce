"""CloudWatch: numbers that appear late, are missing when zero, and alarms that look at them.

A number becomes visible some time after it happened, each one a little
differently, so that the newest period is partial, as at AWS. There is no zero:
a count that nobody counted has no point.

The lab allows periods that AWS does not (2 s), because a rehearsal has to be
quicker than a release. Metric maths is refused, not answered with emptiness.
"""
import base64
import bisect
import datetime
import math
import random
import re
import threading
import time

from aws_api import ACCOUNT, REGION
from errors import ApiError, invalid
from procs import Loop

PERIODS = {1, 2, 5, 10, 20, 30}
MAX_POINTS = 100800


def dims_key(dims):
    return tuple(sorted(dims.items()))


def percentile(values, share):
    """Linear between the two nearest; AWS's own is a sketch and a little coarser."""
    values = sorted(values)
    at = share / 100 * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)


SIMPLE = {'Sum': sum, 'SampleCount': len, 'Minimum': min, 'Maximum': max,
          'Average': lambda v: sum(v) / len(v)}


def within(name, values):
    """The values in a range such as (:1.5), (0.1:) or (0.1:1.5): above the first, up to the second."""
    low, high = (float(v) if v else default for v, default in zip(name[3:-1].split(':'), (-math.inf, math.inf)))
    return [v for v in values if low < v <= high]


RANGES = {'PR': lambda inside, values: 100 * len(inside) / len(values), 'TC': lambda inside, values: len(inside)}


def statistic(name, values):
    if name in SIMPLE:
        return float(SIMPLE[name](values))
    if re.fullmatch(r'(PR|TC)\((\d+(\.\d{1,10})?)?:(\d+(\.\d{1,10})?)?\)', name) and name[3:-1] != ':':
        return float(RANGES[name[:2]](within(name, values), values))
    match = re.fullmatch(r'p(\d{1,2}(?:\.\d{1,2})?|100)', name)
    if not match:
        raise invalid(f"The value {name} for parameter Stat is not supported.")
    return percentile(values, float(match.group(1)))


class Metrics:
    """The numbers. delay: (least, most) seconds from happening to being visible."""

    def __init__(self, delay=(0.5, 2.0), seed=None):
        self.delay, self.random, self.lock = delay, random.Random(seed), threading.Lock()
        self.series = {}  # (namespace, name, dims): sorted [(t, visible at, value)]

    def add(self, namespace, name, dims, value=1.0, at=None):
        at = time.time() if at is None else at
        point = (at, at + self.random.uniform(*self.delay), float(value))
        with self.lock:
            bisect.insort(self.series.setdefault((namespace, name, dims_key(dims)), []), point)

    def bins(self, key, period, start, end, now=None):
        """{start of the period: [values]} of what is visible now."""
        now = time.time() if now is None else now
        start = math.floor(start / period) * period
        out = {}
        with self.lock:
            points = self.series.get(key, [])
            for at, visible, value in points[bisect.bisect_left(points, (start,)):]:
                if at >= end:
                    break
                if visible <= now:
                    out.setdefault(math.floor(at / period) * period, []).append(value)
        return out


# --- GetMetricData ---------------------------------------------------------

def epoch(value):
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value.replace('Z', '+00:00'))
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.timezone.utc)
    return value.timestamp()


def check_period(period):
    if period not in PERIODS and (period <= 0 or period % 60):
        raise invalid(f'Period {period}: must be 1, 5, 10, 20, 30 or a multiple of 60 (the lab allows 2 as well)')


def check_queries(queries):
    ids = [q['Id'] for q in queries]
    if len(queries) > 500 or len(set(ids)) != len(ids):
        raise invalid('at most 500 queries, each with its own Id')
    for query in queries:
        if not re.fullmatch('[a-z][A-Za-z0-9_]*', query['Id']):
            raise invalid(f"Invalid Id {query['Id']}")
        if 'MetricStat' not in query:
            raise invalid('the lab has no metric maths: every query needs a MetricStat')
        check_period(query['MetricStat']['Period'])


def key_of(metric):
    pairs = [(d['Name'], d['Value']) for d in metric.get('Dimensions', [])]
    return metric['Namespace'], metric['MetricName'], dims_key(dict(pairs))


def read_series(metrics, query, start, end):
    stat = query['MetricStat']
    statistic(stat['Stat'], [0.0])  # an unknown one is an error also without data
    found = metrics.bins(key_of(stat['Metric']), stat['Period'], start, end)
    return [(at, statistic(stat['Stat'], values)) for at, values in sorted(found.items())]


def get_metric_data(metrics):
    def handler(call):
        start, end = epoch(call.params['StartTime']), epoch(call.params['EndTime'])
        if start >= end:
            raise invalid('The parameter StartTime must be less than the parameter EndTime.')
        check_queries(call.params['MetricDataQueries'])
        newest_first = call.params.get('ScanBy', 'TimestampDescending') == 'TimestampDescending'
        results = []
        for query in call.params['MetricDataQueries']:
            points = read_series(metrics, query, start, end)
            if query.get('ReturnData', True):
                results.append((query, points[::-1] if newest_first else points))
        return paged(results, call.params)
    return handler


def paged(results, params):
    size = params.get('MaxDatapoints', MAX_POINTS)
    try:
        skip = int(base64.b64decode(params['NextToken'])) if params.get('NextToken') else 0
    except ValueError as e:
        raise ApiError('InvalidNextToken', 'the NextToken is not one of ours') from e
    told, position, more = [], 0, False
    for query, points in results:
        low, high = max(0, skip - position), max(0, min(len(points), skip + size - position))
        cut = points[low:high]
        more = more or high < len(points)
        told.append({'Id': query['Id'], 'Label': query.get('Label') or query['MetricStat']['Metric']['MetricName'],
                     'Timestamps': [datetime.datetime.fromtimestamp(t, datetime.timezone.utc) for t, _ in cut],
                     'Values': [v for _, v in cut], 'StatusCode': 'PartialData' if high < len(points) else 'Complete'})
        position += len(points)
    out = {'MetricDataResults': told, 'Messages': []}
    if more:
        out['NextToken'] = base64.b64encode(str(skip + size).encode()).decode()
    return out


# --- alarms ----------------------------------------------------------------

COMPARE = {
    'GreaterThanOrEqualToThreshold': lambda v, t: v >= t, 'GreaterThanThreshold': lambda v, t: v > t,
    'LessThanThreshold': lambda v, t: v < t, 'LessThanOrEqualToThreshold': lambda v, t: v <= t,
}


def evaluate(spec, bins, now, lag=0.0):
    """(state, reason) of an alarm over its last closed periods; state None: as it was."""
    period, count = spec['Period'], spec['EvaluationPeriods']
    need = spec.get('DatapointsToAlarm', count)
    treat = spec.get('TreatMissingData', 'missing')
    last = math.floor((now - lag) / period) * period - period
    values = [bins.get(last - i * period) for i in range(count)]
    present = [statistic(spec.get('Statistic') or spec.get('ExtendedStatistic'), v) for v in values if v]
    missing = count - len(present)
    breaching = sum(COMPARE[spec['ComparisonOperator']](v, spec['Threshold']) for v in present)
    if treat == 'breaching':
        breaching += missing
    elif not present and treat == 'missing':
        return 'INSUFFICIENT_DATA', 'Insufficient Data: no datapoints were received'
    elif not present and treat == 'ignore':
        return None, ''
    told = ', '.join(f'{v:g}' for v in present) or 'none'
    if breaching >= min(need, len(present) if treat == 'missing' else need):
        return 'ALARM', f'Threshold Crossed: {breaching} of {count} datapoints [{told}] crossed {spec["Threshold"]:g}'
    return 'OK', f'Threshold not crossed: datapoints [{told}], threshold {spec["Threshold"]:g}'


class Alarms:
    """Metric alarms, looked at once a second. lag: how late numbers may be."""

    def __init__(self, metrics, lag=2.0):
        self.metrics, self.lag, self.alarms, self.lock = metrics, lag, {}, threading.Lock()
        self.loop = Loop('alarms', 1.0, self.tick)

    def start(self):
        self.loop.start()

    def end(self):
        self.loop.end()

    def put(self, call):
        spec = dict(call.params)
        if 'MetricName' not in spec:
            raise invalid('the lab knows alarms on one metric only')
        check_period(spec['Period'])
        name = spec['AlarmName']
        now = datetime.datetime.now(datetime.timezone.utc)
        with self.lock:
            old = self.alarms.get(name, {})
            self.alarms[name] = {
                **spec, 'AlarmArn': f'arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}',
                'ActionsEnabled': spec.get('ActionsEnabled', True), 'StateUpdatedTimestamp': now,
                'StateValue': old.get('StateValue', 'INSUFFICIENT_DATA'),
                'StateReason': old.get('StateReason', 'Unchecked: Initial alarm creation')}
        return {}

    def describe(self, call):
        names, prefix = call.params.get('AlarmNames'), call.params.get('AlarmNamePrefix', '')
        if names and prefix:
            raise invalid('AlarmNames and AlarmNamePrefix exclude each other')
        with self.lock:
            found = [dict(a) for n, a in sorted(self.alarms.items())
                     if (not names or n in names) and n.startswith(prefix)]
        state = call.params.get('StateValue')
        found = [a for a in found if not state or a['StateValue'] == state]
        if 'MetricAlarm' not in call.params.get('AlarmTypes', ['MetricAlarm']):
            found = []
        start, size = int(call.params.get('NextToken') or 0), call.params.get('MaxRecords', 50)
        out = {'MetricAlarms': found[start:start + size], 'CompositeAlarms': []}
        if start + size < len(found):
            out['NextToken'] = str(start + size)
        return out

    def delete(self, call):
        with self.lock:
            for name in call.params['AlarmNames']:
                if name not in self.alarms:
                    raise ApiError('ResourceNotFound', f'alarm {name} does not exist', 404)
            for name in call.params['AlarmNames']:
                del self.alarms[name]
        return {}

    def tick(self, now=None):
        now = time.time() if now is None else now
        with self.lock:
            alarms = list(self.alarms.values())
        for alarm in alarms:
            key = alarm['Namespace'], alarm['MetricName'], dims_key({d['Name']: d['Value'] for d in alarm.get('Dimensions', [])})
            span = alarm['Period'] * (alarm['EvaluationPeriods'] + 1) + self.lag
            bins = self.metrics.bins(key, alarm['Period'], now - span, now, now)
            state, reason = evaluate(alarm, bins, now, self.lag)
            with self.lock:
                if state and state != alarm['StateValue']:
                    alarm.update(StateValue=state, StateReason=reason,
                                 StateUpdatedTimestamp=datetime.datetime.fromtimestamp(now, datetime.timezone.utc))


def install(api, metrics, alarms):
    api.handlers.update({
        ('cloudwatch', 'GetMetricData'): get_metric_data(metrics),
        ('cloudwatch', 'PutMetricAlarm'): alarms.put,
        ('cloudwatch', 'DescribeAlarms'): alarms.describe,
        ('cloudwatch', 'DeleteAlarms'): alarms.delete,
    })
