"""Baseline policies, as their projects document or ship them, plus the knobs used to tune them.

Each is vectorised over runs.  All get the same view (late, partial, 5xx missing when zero).
cw-alarm   CloudWatch alarm on the green target group (CodeDeploy / ECS deployment alarm):
           5xx/requests > thr in M of the N latest datapoints, missing = notBreaching; alarm -> rollback.
           default thr 5 %, 3 of 3 (what AWS recommends for 5XXError in CloudWatch 'Recommended alarms');
           optional latency alarm p99 > 3 x blue's nominal p99 (off in the default).
cw-alarm1  the same at 1 %, 2 of 3.
argo       Argo Rollouts docs/features/analysis.md: successCondition result[0] >= 0.95, interval 5m,
           failureLimit 3 -> rollback when failed > 3 (cumulative, analysis/analysis.go).
argo-cw    Argo Rollouts docs/analysis/cloudwatch.md: interval 1m, 30 min of 300 s datapoints,
           len >= 5 and all <= 0.01, failureLimit 3; here requests with FILL(errors,0) (the documented
           errors/requests gives no datapoint without errors: see argo-cw-lit).
flagger    success rate >= 99 %, interval 1m, threshold 5 (most samples; docs also 10), p99 <= 500 ms;
           failed checks are cumulative and never reset (pkg/controller/scheduler.go), a failed check
           halts advancement, no values = failed check.
flagger-cw the documented CloudWatch template (m1/m2, newest value of 10 intervals): no 5xx -> no value
           -> failed check.
kayenta    NetflixACAJudge: Mann-Whitney 98 % CI against 0.25 x |Hodges-Lehmann|, error % (critical,
           nanStrategy replace, increase) and p99 (increase), marginal 50 / pass 75, growing lookback,
           judged every `interval` minutes and at the end.  default interval 30 (docs: at least 50 points).
scap       Wikimedia scap canary check (logstash_checker.py): mean 5xx per 10 s after > max(1.0, 10 x before),
           checked once per stage, `before` = blue history scaled to green's share.
ztest      what many home-grown judges do: pooled two-proportion z-test on the sums, every minute, p < 0.01.
"""
import ctypes, os
import numpy as np
from scipy.special import ndtri
from harness import Policy, CONT, HOLD, ROLL, LAT_TAU, HERE

NAMES = ['cw-alarm', 'cw-alarm1', 'argo', 'argo-cw', 'argo-cw-lit', 'flagger', 'flagger10', 'flagger-cw',
         'kayenta', 'kayenta10', 'kayenta-remove', 'scap', 'ztest']

def z0(a): return np.nan_to_num(a, nan=0.0)

class CwAlarm(Policy):
    def __init__(self, thr=.05, M=3, Nn=3, lat=None, name='cw-alarm', minreq=0):
        self.thr, self.M, self.Nn, self.lat, self.name, self.minreq = thr, M, Nn, lat, name, minreq
        self.pct = lat is not None
    def step(self, t, v, act, stage, clock):
        out = np.full(len(act), CONT)
        if t < 2: return out
        # the alarm evaluates the latest N periods that can have data: with a 1 min delay the newest is t-2
        lo = max(0, t - 1 - self.Nn)
        n = v.n[1][:, lo:t - 1]; x = z0(v.x[1][:, lo:t - 1])
        with np.errstate(invalid='ignore', divide='ignore'):
            br = (n > self.minreq) & (x / n > self.thr)          # missing: notBreaching
        hit = br.sum(1) >= self.M
        # late datapoints: CloudWatch re-evaluates over a longer range when the newest are missing
        if t > 5:
            lo = max(0, t - 4 - self.Nn); n = v.n[1][:, lo:t - 4]; x = z0(v.x[1][:, lo:t - 4])
            with np.errstate(invalid='ignore', divide='ignore'):
                hit |= ((n > self.minreq) & (x / n > self.thr)).sum(1) >= self.M
        if self.lat is not None:
            lo = max(0, t - 1 - self.Nn)
            q = v.pct[1][:, lo:t - 1, 2]
            hit |= (np.nan_to_num(q, nan=0) > self.lat * LAT_TAU).sum(1) >= self.M
        out[hit] = ROLL
        return out

class Argo(Policy):
    def __init__(self, thr=.95, interval=5, limit=3, name='argo'):
        self.thr, self.int, self.limit, self.name = thr, interval, limit, name
    def start(self, W, N): self.failed = np.zeros(N, int)
    def step(self, t, v, act, stage, clock):
        out = np.full(len(act), CONT)
        if t == 0 or t % self.int: return out
        lo, hi = max(0, t - 1 - self.int), max(1, t - 1)
        n = z0(v.n[1][:, lo:hi]).sum(1); x = z0(v.x[1][:, lo:hi]).sum(1)
        ok = np.where(n > 0, 1 - x / np.maximum(n, 1), 1.0) >= self.thr   # no data: NaN -> error, not failure
        self.failed += ~ok
        out[self.failed > self.limit] = ROLL
        return out

class ArgoCW(Policy):
    def __init__(self, thr=.01, limit=3, literal=False, name='argo-cw'):
        self.thr, self.limit, self.lit, self.name = thr, limit, literal, name
    def start(self, W, N): self.failed = np.zeros(N, int); self.W = W
    def step(self, t, v, act, stage, clock):
        N = len(act); out = np.full(N, CONT)
        vals = []
        H = self.W.H
        for b in range(6):                       # 30 min of 300 s datapoints of the APPLICATION (both colours)
            hi = t - 1 - 5 * b; lo = hi - 5
            n = np.zeros(N); x = np.zeros(N)
            a, z = max(lo, 0), max(hi, 0)
            if z > a:
                for c in (0, 1):
                    n += z0(v.n[c][:, a:z]).sum(1); x += z0(v.x[c][:, a:z]).sum(1)
            if lo < 0:
                n += self.W.h_n[:, H + lo:H + min(hi, 0)].sum(1); x += self.W.h_x[:, H + lo:H + min(hi, 0)].sum(1)
            r = np.where(n > 0, x / np.maximum(n, 1), np.nan)
            if self.lit: r = np.where(x > 0, r, np.nan)
            vals.append(r)
        r = np.array(vals)
        ok = ((~np.isnan(r)).sum(0) >= 5) & (np.nan_to_num(r, nan=0) <= self.thr).all(0)
        self.failed += ~ok
        out[self.failed > self.limit] = ROLL
        return out

class Flagger(Policy):
    pct = True
    def __init__(self, minok=99., maxlat=500., threshold=5, cw=False, name='flagger', grace=3):
        self.minok, self.maxlat, self.th, self.cw, self.name, self.grace = minok, maxlat, threshold, cw, name, grace
    def start(self, W, N): self.failed = np.zeros(N, int)
    def step(self, t, v, act, stage, clock):
        N = len(act); out = np.full(N, CONT)
        if t < self.grace: return out
        # newest visible value within 10 intervals (GetMetricData returns the newest first)
        val = np.full(N, np.nan); lat = np.full(N, np.nan)
        for k in range(max(0, t - 10), t):
            n, x = v.n[1][:, k], v.x[1][:, k]
            if self.cw: m = ~np.isnan(x)
            else:       m = ~np.isnan(n)
            val = np.where(m, 100 * (1 - z0(x) / np.maximum(z0(n), 1)), val)
            lat = np.where(~np.isnan(n), v.pct[1][:, k, 2], lat)
        bad = ~(val >= self.minok) | ~(lat <= self.maxlat)      # NaN (no values found) is a failed check
        self.failed += bad & act
        out[bad] = HOLD
        out[self.failed >= self.th] = ROLL
        return out

_L = ctypes.CDLL(os.path.join(HERE, '..', '..', 'build', 'judge', 'mw.so'))  # make build/judge/mw.so
_D = ctypes.POINTER(ctypes.c_double)
def mw_ci(x, y, conf=.98):
    x = np.ascontiguousarray(x, float); y = np.ascontiguousarray(y, float); o = np.zeros(3)
    rc = _L.mw(x.ctypes.data_as(_D), len(x), y.ctypes.data_as(_D), len(y),
               ctypes.c_double(float(ndtri((1 - conf) / 2))), o.ctypes.data_as(_D))
    return None if rc else o

def kayenta_high(exp, ctl, rng, conf=.98, tol=.25, allowed=1.0):
    """MannWhitneyClassifier for direction=increase: True when High."""
    if np.array_equal(np.sort(exp), np.sort(ctl)): return False
    if len(np.unique(np.concatenate([exp, ctl]))) == 1: return False
    if len(np.unique(exp)) == 1 and len(np.unique(ctl)) == 1:
        exp = exp + rng.normal(0, 1, len(exp)) * 1e-5 * exp[0]; ctl = ctl + rng.normal(0, 1, len(ctl)) * 1e-5 * ctl[0]
    o = mw_ci(exp, ctl, conf)
    if o is None: return False                    # 'Error' classification: neither High nor a critical failure
    if not o[0] > tol * abs(o[2]): return False
    mc, me = ctl.mean(), exp.mean()
    return True if mc == 0 or me == 0 else me / mc >= allowed

class Kayenta(Policy):
    pct = True
    def __init__(self, interval=30, conf=.98, allowed=1.0, nan='replace', name='kayenta', tol=.25, lat=True):
        self.int, self.conf, self.allowed, self.nan, self.name, self.tol, self.lat = interval, conf, allowed, nan, name, tol, lat
    def start(self, W, N): self.rng = np.random.default_rng(7)
    def step(self, t, v, act, stage, clock):
        N = len(act); out = np.full(N, CONT)
        if t == 0 or t % self.int: return out
        hi = t - 1
        for i in np.nonzero(act)[0]:
            nb, ng = v.n[0][i, :hi], v.n[1][i, :hi]
            kb, kg = ~np.isnan(nb), ~np.isnan(ng)
            xb, xg = v.x[0][i, :hi], v.x[1][i, :hi]
            if self.nan == 'replace': eb, eg = 100 * z0(xb[kb]) / nb[kb], 100 * z0(xg[kg]) / ng[kg]
            else:
                eb, eg = 100 * xb / nb, 100 * xg / ng; eb, eg = eb[~np.isnan(eb)], eg[~np.isnan(eg)]
            if len(eb) and len(eg) and kayenta_high(eg, eb, self.rng, self.conf, self.tol, self.allowed):
                out[i] = ROLL; continue           # critical metric: score 0
            if self.lat:
                lb, lg = v.pct[0][i, :hi, 2][kb], v.pct[1][i, :hi, 2][kg]
                if len(lb) and len(lg) and kayenta_high(lg, lb, self.rng, self.conf, self.tol, self.allowed):
                    out[i] = ROLL                 # score 50 <= marginal 50 (MonitorCanaryTask)
        return out

class Scap(Policy):
    def __init__(self, fold=10., absolute=1.0, name='scap'):
        self.fold, self.abs, self.name = fold, absolute, name
    def start(self, W, N):
        self.before = W.h_x[:, -60:].mean(1) / 6.           # per 10 s, whole service
        self.st = np.zeros(N, int); self.W = W
    def step(self, t, v, act, stage, clock):
        N = len(act); out = np.full(N, CONT)
        d = np.array([s[1] for s in self.W.c['stages']])[stage]
        chk = act & (clock >= d)
        if not chk.any(): return out
        for c in np.unique(clock[chk]):
            m = chk & (clock == c)
            lo = max(0, t - c)
            x = z0(v.x[1][m, lo:t]); n = v.n[1][m, lo:t]
            k = np.maximum((~np.isnan(n)).sum(1), 1)
            after = x.sum(1) / k / 6.
            share = np.array([s[0] for s in self.W.c['stages']])[stage[m]]
            bad = after > np.maximum(self.abs, self.fold * self.before[m] * share)
            out[np.nonzero(m)[0][bad]] = ROLL
        return out

class ZTest(Policy):
    def __init__(self, z=2.326, minerr=0, name='ztest'):
        self.z, self.minerr, self.name = z, minerr, name
    def step(self, t, v, act, stage, clock):
        out = np.full(len(act), CONT)
        if t < 2: return out
        nb, ng = z0(v.n[0][:, :t]).sum(1), z0(v.n[1][:, :t]).sum(1)
        xb, xg = z0(v.x[0][:, :t]).sum(1), z0(v.x[1][:, :t]).sum(1)
        ok = (nb > 0) & (ng > 0)
        p = (xb + xg) / np.maximum(nb + ng, 1)
        se = np.sqrt(np.maximum(p * (1 - p) * (1 / np.maximum(nb, 1) + 1 / np.maximum(ng, 1)), 1e-18))
        z = (xg / np.maximum(ng, 1) - xb / np.maximum(nb, 1)) / se
        out[ok & (z > self.z) & (xg > self.minerr)] = ROLL
        return out

def make(name):
    return {
        'cw-alarm': lambda: CwAlarm(),
        'cw-alarm1': lambda: CwAlarm(.01, 2, 3, name='cw-alarm1'),
        'argo': lambda: Argo(),
        'argo-cw': lambda: ArgoCW(),
        'argo-cw-lit': lambda: ArgoCW(literal=True, name='argo-cw-lit'),
        'flagger': lambda: Flagger(),
        'flagger10': lambda: Flagger(threshold=10, name='flagger10'),
        'flagger-cw': lambda: Flagger(cw=True, name='flagger-cw'),
        'kayenta': lambda: Kayenta(),
        'kayenta10': lambda: Kayenta(10, name='kayenta10'),
        'kayenta-remove': lambda: Kayenta(30, nan='remove', name='kayenta-remove'),
        'scap': lambda: Scap(),
        'ztest': lambda: ZTest(),
    }.get(name, lambda: None)()
