"""The data plane's arithmetic: which share goes where, and what a log line counts as."""
import collections
import http.client
import http.server
import os
import shutil
import tempfile
import threading
import unittest

import cloudwatch
import dataplane
import elb
from labtest import ApiTest, forward
from procs import Procs


class Colour(http.server.BaseHTTPRequestHandler):
    protocol_version, wbufsize, disable_nagle_algorithm = 'HTTP/1.1', -1, True

    def do_GET(self):
        body = self.server.name.encode()
        self.send_response(self.server.status)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Plane(ApiTest):
    """A real HAProxy between us and two small servers, led by the API's rules."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.listener, cls.rule, cls.groups = cls.balancer()
        cls.run_dir = tempfile.mkdtemp(prefix='lab-')
        cls.procs = Procs(cls.run_dir)
        cls.plane = dataplane.DataPlane(cls.procs, cls.run_dir, cls.metrics, cls.health)
        cls.plane.balancer = 'app/t/1'
        cls.plane.listeners[cls.listener] = 'prod'
        dataplane.PROPAGATION = (0.2, 0.3)
        cls.servers = {}
        for name, arn in (('blue', cls.groups[0]), ('green', cls.groups[1])):
            server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Colour)
            server.handle_error = lambda *_: None  # the proxy closes when it likes
            server.name, server.status, server.daemon_threads = name, 200, True
            threading.Thread(target=server.serve_forever, daemon=True).start()
            cls.servers[name] = server
            cls.plane.slot(arn)
            cls.health.register(arn, '127.0.0.1', server.server_address[1])
        cls.plane.start()

    @classmethod
    def tearDownClass(cls):
        cls.plane.end()
        cls.procs.stop_all()
        shutil.rmtree(cls.run_dir)
        super().tearDownClass()

    def weigh(self, blue, green):
        self.client('elbv2').modify_rule(RuleArn=self.rule, Actions=[forward((self.groups[0], blue), (self.groups[1], green))])
        self.until(lambda: (self.plane.weights.get('prod:blue'), self.plane.weights.get('prod:green')) == (blue, green))

    def until(self, test):
        for _ in range(300):
            if test():
                return
            threading.Event().wait(0.02)
        self.fail('waited in vain')

    def ask(self, n):
        counts = collections.Counter()
        connection = http.client.HTTPConnection('127.0.0.1', self.plane.ports['prod'])
        for _ in range(n):
            connection.request('GET', '/')
            answer = connection.getresponse()
            answer.read()
            counts[answer.headers['X-Lab-Server'], answer.status] += 1
        connection.close()
        return counts

    def sum(self, name, group=None):
        dims = {'LoadBalancer': 'app/t/1', **({'TargetGroup': group.split(':', 5)[5]} if group else {})}
        return sum(sum(v) for v in self.metrics.bins(('AWS/ApplicationELB', name, cloudwatch.dims_key(dims)), 60, 0, 1 << 40).values())

    def test_1_weights(self):
        self.weigh(999, 0)
        self.assertEqual(set(self.ask(300)), {('blue', 200)})
        self.weigh(0, 1)
        self.assertEqual(set(self.ask(300)), {('green', 200)})
        self.weigh(900, 99)
        green = self.ask(2000)['green', 200] / 2000
        self.assertTrue(0.06 < green < 0.14, green)
        self.weigh(998, 1)
        green = self.ask(3000)['green', 200]
        self.assertTrue(green < 20, green)

    def test_2_nobody(self):
        self.weigh(0, 0)
        self.assertEqual(self.ask(3), {('alb', 503): 3})

    def test_3_numbers(self):
        self.weigh(0, 999)
        before = self.sum('RequestCount', self.groups[1]), self.sum('HTTPCode_Target_5XX_Count', self.groups[1])
        self.servers['green'].status = 500
        self.assertEqual(self.ask(20), {('green', 500): 20})
        self.until(lambda: self.sum('HTTPCode_Target_5XX_Count', self.groups[1]) == before[1] + 20)
        self.assertEqual(self.sum('RequestCount', self.groups[1]), before[0] + 20)
        self.assertEqual(self.sum('TargetConnectionErrorCount', self.groups[1]), 0)

    def test_4_a_dead_target_is_a_502_of_the_balancer(self):
        self.weigh(0, 999)
        before = self.sum('RequestCount', self.groups[1])
        target = self.sum('HTTPCode_Target_5XX_Count', self.groups[1])
        self.servers['green'].shutdown()
        self.servers['green'].server_close()
        self.ask_dead(10)
        self.until(lambda: self.sum('TargetConnectionErrorCount', self.groups[1]) >= 9)
        self.until(lambda: self.sum('HTTPCode_ELB_502_Count') >= 9)
        self.assertGreaterEqual(self.sum('RequestCount', self.groups[1]), before + 9)
        self.assertEqual(self.sum('HTTPCode_Target_5XX_Count', self.groups[1]), target)

    def ask_dead(self, n):
        counts = collections.Counter()
        for _ in range(n):
            connection = http.client.HTTPConnection('127.0.0.1', self.plane.ports['prod'])
            connection.request('GET', '/')
            counts[connection.getresponse().status] += 1
            connection.close()
        self.assertGreaterEqual(counts[502], n - 1, counts)


class Lines(ApiTest):
    def count(self, line):
        metrics = cloudwatch.Metrics(delay=(0, 0))
        with tempfile.TemporaryDirectory() as folder:
            plane = dataplane.DataPlane(None, folder, metrics, None)
            plane.slots, plane.balancer = {'a:b:c:d:e:targetgroup/g/1': 'green'}, 'app/l/1'
            plane.count(line, 1.0)
            plane.log_socket.close()
        return {(k[1], 'group' if len(k[2]) == 2 else 'balancer'): v[0][2] for k, v in metrics.series.items()
                if len(k[2]) < 3}

    def test_lines(self):
        good = self.count('green|t0|200|120|----|test')
        self.assertEqual(good['TargetResponseTime', 'group'], 0.12)
        self.assertEqual({n for n, _ in good}, {'RequestCount', 'HTTPCode_Target_2XX_Count', 'TargetResponseTime'})
        self.assertEqual({n for n, _ in self.count('green|t0|504|-1|sH--|prod')},
                         {'RequestCount', 'HTTPCode_ELB_5XX_Count', 'HTTPCode_ELB_504_Count'})
        self.assertEqual(self.count('green|<NOSRV>|503|-1|SC--|prod').keys(),
                         {('HTTPCode_ELB_5XX_Count', 'balancer'), ('HTTPCode_ELB_503_Count', 'balancer')})
        self.assertEqual(self.count('nonsense'), {})


class Groups(ApiTest):
    def test_in_use(self):
        listener, rule, groups = self.balancer()
        self.assertIn(groups[0], elb.groups_in_use())
        self.assertNotIn(groups[1], elb.groups_in_use())
        self.client('elbv2').modify_rule(RuleArn=rule, Actions=[forward((groups[0], 999), (groups[1], 0))])
        self.assertIn(groups[1], elb.groups_in_use())
        self.assertTrue(os.path.exists('/usr/sbin/haproxy'))


if __name__ == '__main__':
    unittest.main()
