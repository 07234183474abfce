"""Numbers: late, missing when zero, right; and alarms that look at them."""
import datetime
import time
import unittest

import cloudwatch
from labtest import ApiTest

DIMS = {'TargetGroup': 'targetgroup/a/1', 'LoadBalancer': 'app/b/2'}
NAMESPACE = 'AWS/ApplicationELB'


def query(query_id='a', metric='RequestCount', stat='Sum', period=60, dims=None):
    return {'Id': query_id, 'MetricStat': {'Stat': stat, 'Period': period, 'Metric': {
        'Namespace': NAMESPACE, 'MetricName': metric,
        'Dimensions': [{'Name': k, 'Value': v} for k, v in (dims or DIMS).items()]}}}


class Statistics(unittest.TestCase):
    def test_percentiles(self):
        values = list(range(1, 101))
        self.assertEqual(cloudwatch.statistic('p50', values), 50.5)
        self.assertAlmostEqual(cloudwatch.statistic('p90', values), 90.1)
        self.assertAlmostEqual(cloudwatch.statistic('p99.9', values), 99.901)
        self.assertEqual(cloudwatch.statistic('p100', values), 100)
        self.assertEqual(cloudwatch.statistic('p99', [7]), 7)

    def test_simple_ones(self):
        for name, value in (('Sum', 6), ('Average', 2), ('Minimum', 1), ('Maximum', 3), ('SampleCount', 3)):
            self.assertEqual(cloudwatch.statistic(name, [3, 1, 2]), value)

    def test_ranges(self):
        values = [0.5, 1.5, 2, 3]
        for name, value in (('PR(:1.5)', 50), ('PR(1.5:)', 50), ('PR(0.5:2)', 50), ('PR(:9)', 100), ('PR(9:)', 0),
                            ('TC(:1.5)', 2), ('TC(1.5:)', 2), ('TC(0.005:0.030)', 0)):
            self.assertEqual(cloudwatch.statistic(name, values), value, name)

    def test_unknown_ones(self):
        for name in ('p101', 'q50', 'sum', 'tm90', '', 'PR(:)', 'PR(1)', 'PR(:x)', 'TC:1'):
            with self.assertRaises(Exception):
                cloudwatch.statistic(name, [1])


class Delay(unittest.TestCase):
    def test_a_number_is_not_seen_at_once(self):
        metrics = cloudwatch.Metrics(delay=(2, 3), seed=1)
        key = 'N', 'M', ()
        for at in (100.0, 100.5, 101.0, 101.9):
            metrics.add('N', 'M', {}, 1, at)
        self.assertEqual(metrics.bins(key, 2, 90, 110, 101.9), {})
        partial = metrics.bins(key, 2, 90, 110, 103.5)
        self.assertTrue(0 < len(partial.get(100, [])) < 4, 'the newest period is partial')
        self.assertEqual(len(metrics.bins(key, 2, 90, 110, 105)[100]), 4)


class GetMetricData(ApiTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.base = int(time.time()) // 60 * 60 - 600
        for minute in range(5):
            for i in range(minute + 1):
                cls.metrics.add(NAMESPACE, 'RequestCount', DIMS, 1, cls.base + 60 * minute + i)
                cls.metrics.add(NAMESPACE, 'TargetResponseTime', DIMS, 0.1 * (i + 1), cls.base + 60 * minute + i)
        cls.metrics.add(NAMESPACE, 'HTTPCode_Target_5XX_Count', DIMS, 1, cls.base + 120)

    def get(self, *queries, start=0, end=600, **more):
        return self.client('cloudwatch').get_metric_data(
            MetricDataQueries=list(queries), StartTime=self.base + start, EndTime=self.base + end, **more)

    def points(self, *args, **kwargs):
        result = self.get(*args, ScanBy='TimestampAscending', **kwargs)['MetricDataResults'][0]
        return {int(t.timestamp()) - self.base: v for t, v in zip(result['Timestamps'], result['Values'])}

    def test_sums_by_minute(self):
        self.assertEqual(self.points(query()), {0: 1, 60: 2, 120: 3, 180: 4, 240: 5})

    def test_start_is_in_and_end_is_out(self):
        self.assertEqual(self.points(query(), start=60, end=120), {60: 2})

    def test_zero_is_missing(self):
        self.assertEqual(self.points(query(metric='HTTPCode_Target_5XX_Count')), {120: 1})

    def test_newest_first_unless_asked(self):
        result = self.get(query())['MetricDataResults'][0]
        self.assertEqual(result['Timestamps'], sorted(result['Timestamps'], reverse=True))
        self.assertEqual(result['StatusCode'], 'Complete')

    def test_percentile(self):
        self.assertAlmostEqual(self.points(query(metric='TargetResponseTime', stat='p50'))[240], 0.3)

    def test_wrong_dimensions_are_silence(self):
        for dims in ({'TargetGroup': 'targetgroup/a/1'}, {'LoadBalancer': 'app/b/2'}, {**DIMS, 'AvailabilityZone': 'a'}):
            self.assertEqual(self.points(query(dims=dims)), {})

    def test_periods(self):
        for period in (1, 2, 5, 10, 30, 60, 120):
            self.assertEqual(sum(self.points(query(period=period)).values()), 15)
        for period in (3, 7, 90):
            self.refused('ValidationError', self.get, *[query(period=period)])

    def refused(self, code, call, *args, **params):
        return super().refused(code, lambda **p: call(*args, **p), **params)

    def test_what_is_refused(self):
        self.refused('ValidationError', self.get, query(), end=0)
        self.refused('ValidationError', self.get, query(), query())
        self.refused('ValidationError', self.get, query('Big'))
        self.refused('ValidationError', self.get, query(stat='p101'))
        self.refused('ValidationError', self.get, query(stat='Median', metric='NoSuchMetric'))
        self.refused('ValidationError', self.get, {'Id': 'e', 'Expression': 'a+b'})
        self.refused('InvalidNextToken', self.get, query(), NextToken='x')

    def test_pages(self):
        values, token, pages = {'a': [], 'b': []}, {}, 0
        while True:
            page = self.get(query('a'), query('b', 'TargetResponseTime', 'Maximum'), MaxDatapoints=3, **token)
            pages += 1
            for result in page['MetricDataResults']:
                values[result['Id']] += result['Values']
            if 'NextToken' not in page:
                break
            self.assertIn('PartialData', [r['StatusCode'] for r in page['MetricDataResults']])
            token = {'NextToken': page['NextToken']}
        self.assertEqual(pages, 4)
        self.assertEqual(values['a'], [5, 4, 3, 2, 1])
        self.assertEqual(len(values['b']), 5)


class AlarmRules(unittest.TestCase):
    SPEC = {'Period': 60, 'EvaluationPeriods': 3, 'Statistic': 'Sum', 'Threshold': 10,
            'ComparisonOperator': 'GreaterThanOrEqualToThreshold'}

    def state(self, bins, **more):
        return cloudwatch.evaluate({**self.SPEC, **more}, bins, 600.0)[0]

    def test_all_periods_must_breach(self):
        self.assertEqual(self.state({540: [10], 480: [11], 420: [12]}), 'ALARM')
        self.assertEqual(self.state({540: [10], 480: [9], 420: [12]}), 'OK')
        self.assertEqual(self.state({540: [10], 480: [9], 420: [12]}, DatapointsToAlarm=2), 'ALARM')

    def test_the_running_period_does_not_count(self):
        self.assertEqual(self.state({600: [99], 540: [1], 480: [1], 420: [1]}), 'OK')

    def test_missing_data(self):
        for treat, state in (('missing', 'INSUFFICIENT_DATA'), ('notBreaching', 'OK'), ('breaching', 'ALARM'), ('ignore', None)):
            self.assertEqual(self.state({}, TreatMissingData=treat), state, treat)
        self.assertEqual(self.state({540: [20]}, TreatMissingData='missing'), 'ALARM')
        self.assertEqual(self.state({540: [20]}, TreatMissingData='notBreaching'), 'OK')
        self.assertEqual(self.state({540: [1]}, TreatMissingData='breaching', DatapointsToAlarm=2), 'ALARM')

    def test_below(self):
        self.assertEqual(self.state({540: [1], 480: [1], 420: [1]}, ComparisonOperator='LessThanThreshold'), 'ALARM')


class Alarm(ApiTest):
    def test_its_life(self):
        client = self.client('cloudwatch')
        client.put_metric_alarm(AlarmName='a', Namespace=NAMESPACE, MetricName='X', Dimensions=[{'Name': 'LoadBalancer', 'Value': 'l'}],
                                Period=2, EvaluationPeriods=1, Statistic='Sum', Threshold=3, TreatMissingData='notBreaching',
                                ComparisonOperator='GreaterThanOrEqualToThreshold')
        self.assertEqual(self.state(), 'INSUFFICIENT_DATA', 'before it was looked at')
        now = 1000.0
        self.alarms.tick(now)
        self.assertEqual(self.state(), 'OK')
        for _ in range(3):
            self.metrics.add(NAMESPACE, 'X', {'LoadBalancer': 'l'}, 1, now)
        self.alarms.tick(now + 1)
        self.assertEqual(self.state(), 'OK', 'its period is not over')
        self.alarms.tick(now + 2)
        self.assertEqual(self.state(), 'ALARM')
        self.alarms.tick(now + 4)
        self.assertEqual(self.state(), 'OK')

    def state(self):
        return self.client('cloudwatch').describe_alarms(AlarmNames=['a'])['MetricAlarms'][0]['StateValue']

    def test_unknown_names_are_just_not_there(self):
        self.assertEqual(self.client('cloudwatch').describe_alarms(AlarmNames=['nobody'])['MetricAlarms'], [])

    def test_time_has_a_zone(self):
        self.assertEqual(cloudwatch.epoch('1970-01-01T00:01:00Z'), 60)
        self.assertEqual(cloudwatch.epoch(datetime.datetime(1970, 1, 1, 0, 1)), 60)


if __name__ == '__main__':
    unittest.main()
