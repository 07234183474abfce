"""A finished run judged again, and a past that nobody changed."""
import json

from world import ALL, LOOK, Case, shift

NO_GUARDS = {'catastrophic': {'rate': '100%', 'min_requests': 1000000}}


class Replay(Case):
    def failed_run(self):
        """Green fails, the judge says so, the journal has why."""
        self.world('--fault', 'errors')
        self.expect(3, self.run_it('start', self.plan(LOOK, shift(25, 'PT40S'), ALL, watch=NO_GUARDS)), 'ROLLED BACK')

    def looks(self, *options):
        return self.expect(0, self.run_it('replay', '-o', 'json', *options)).json()

    def test_decided_again(self):
        self.failed_run()
        same = self.looks()
        self.assertGreater(same['looks'], 3, same)
        self.assertEqual((same['differ'], same['unlike'], same['first']), (0, 0, None), same)
        self.assertEqual(same['list'][-1]['decided'], 'BAD', same['list'][-1])
        self.assertEqual(same['list'][-1]['rule'], 'worse', same['list'][-1])
        self.expect(0, self.run_it('replay'), '0 decided otherwise')

        never = ('--set', 'watch.judge.settings.hazard_first=0', '--set', 'watch.judge.settings.hazard_stage=0', '--set',
                 'watch.judge.settings.hazard_slow=0')  # a fault that begins at no time
        lax = self.looks(*never)
        self.assertEqual(lax['unlike'], 0)
        self.assertGreater(lax['differ'], 0, lax)
        first = next(look for look in lax['list'] if look['differs'])
        self.assertEqual((first['seq'], first['decided']), (lax['first'], 'BAD'), first)
        self.assertNotEqual(first['would'], 'BAD')
        self.expect(0, self.run_it('replay', *never), '>> ', 'would have gone another way')

        early = self.looks('--set', 'alpha=20%')
        self.assertLessEqual(next(look['seq'] for look in early['list'] if look['would'] == 'BAD'), lax['first'])
        self.expect(2, self.run_it('replay', '--set', 'alpha=7'), 'alpha may be')
        self.expect(2, self.run_it('replay', '--set', 'nothing=7'), 'no such setting')

    def test_nothing_to_judge(self):
        self.world()
        self.expect(0, self.run_it('start', self.plan(LOOK, shift(25, 'PT1S'), ALL, watch={'judge': {'on': False}})), 'PROMOTED')
        self.expect(2, self.run_it('replay'), 'no evidence for the sequential judge', 'watch.judge is off')
        self.expect(2, self.run_it('replay', 'nobody'), 'nobody')


class Past(Case):
    def backtest(self, *options, code=0):
        return self.expect(code, self.run_it('backtest', self.plan(LOOK, shift(25, 'PT10M'), ALL, watch={'period': 'PT1M', 'poll': 'PT30S'}),
                                             *options))

    def test_what_did_not_change(self):
        self.world('--period', '60')
        said = self.backtest('--from', 'P1D', '--every', '60', '-o', 'json').json()
        self.assertGreater(said['cutovers'], 15, said)
        self.assertLessEqual(said['taken_back'], 1, said)
        self.assertEqual(said['cutovers'], said['taken_back'] + said['held'] + said['through'], said)
        self.assertTrue(said['zones'] and said['seen'] > .95, said)
        self.assertEqual(self.writes(), [])
        self.assertEqual(set(self.asked()), {'GetMetricData'})
        text = self.backtest('--from', 'PT6H', '--every', '60', '--splits', '2').out
        self.assertIn('zones eu-central-1a and eu-central-1b of blue play blue and green', text)
        self.assertIn("the plan's budget is 1 %", text)

    def test_refusals(self):
        self.world('--period', '60')
        for options, words in (('--from', 'yesterday'), 'how long ago'), (('--every', '0'), 'periods from 1'), \
                (('--from', 'P1D', '--to', 'P2D'), 'must lie before'), (('--from', 'P20D'), '1 to 21600 can be read'), \
                (('--every', '1', '--splits', '1000'), 'more than'), (('--set', 'beta=9'), 'beta may be'):
            self.assertIn(words, self.backtest(*options, code=2).err)

    def test_live_traffic(self):
        self.world('--period', '60')
        plan = self.plan(LOOK, shift(25, 'PT10M'), ALL, watch={'period': 'PT1M', 'poll': 'PT30S'})
        said = self.expect(0, self.run_it('explain', plan, '--traffic', 'live', '-o', 'json')).json()['judge']
        self.assertAlmostEqual(said['requests_per_minute'] / 12000, 1, 1)
        self.assertTrue(0 < said['error_rate'] < .01, json.dumps(said)[:300])
        self.expect(2, self.run_it('explain', plan, '--traffic', 'live', '--rpm', '5'), '--traffic takes "live"')
