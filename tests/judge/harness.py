#!/usr/bin/python3
"""
harness.py - closed-loop evaluation harness for the judge of a blue/green cutover.

The judge sees what CloudWatch shows for two ALB target groups (blue = old,
green = new): one datapoint per colour per 60 s period, late, sometimes partial,
with the 5xx metric MISSING when it is zero.  After every poll it says continue,
hold or rollback.  The harness moves the traffic weight by those verdicts, so
what the judge does changes what it sees next and how many users are hurt.

Everything is deterministic in (cell, seed, N).  The exogenous world (traffic,
shared error level, bursts, publication lags) is drawn from its own stream, so
every policy meets the SAME worlds (common random numbers); only the binomial
splits, which depend on the weight a policy chose, come from a second stream.

Time: minutes.  Period k covers [k, k+1).  Tick t happens at minute t, before
period t starts: poll -> verdict -> weight for period t.  A datapoint of period
k is first visible at tick k+1+D, D in {1,2,3}.  So a fault that starts with the
first green request can be seen at tick 2 at the earliest: two periods of harm
are the price of CloudWatch, for the oracle too.

  ./harness.py list
  ./harness.py run --policy cw-alarm --fault err2 --volume 1000 --p0 0.001 -n 500
  ./harness.py run --cmd './my_judge' --fault none --volume 1000 --p0 0.001 -n 200
  ./harness.py trace --fault err2 ...          # the JSON lines of one run

Protocol of an external judge: see README.md (one process per cutover).
"""
import argparse, csv, json, math, os, subprocess, sys, time
import numpy as np
from scipy.special import ndtr, ndtri

HERE = os.path.dirname(os.path.abspath(__file__))
CONT, HOLD, ROLL = 0, 1, 2
VNAME = ('continue', 'hold', 'rollback')
VCODE = {n: i for i, n in enumerate(VNAME)}

# ----------------------------------------------------------------- constants
LAT_MED, LAT_SIG = 60.0, 0.7                  # lognormal latency, ms
LAT_TAU = LAT_MED * math.exp(LAT_SIG * ndtri(0.99))   # blue's nominal p99
TAIL = 0.95                                   # latency faults stretch the slowest 5 %
DEF_STAGES = ((0.01, 5), (0.05, 5), (0.25, 10), (0.50, 10), (1.0, 30))
HIST = 180                                    # minutes of blue history before the cutover

def _series(name):
    with open(os.path.join(HERE, 'data', name)) as f:
        return np.array(f.read().split(), float)

_cache = {}
def real(name):
    if name not in _cache:
        _cache[name] = _series(name)
    return _cache[name]

# --------------------------------------------------------------------- cells
DEFAULT_CELL = dict(
    volume=1000,        # mean requests per minute of the whole service
    p0=0.001,           # base error rate of a healthy colour
    traffic='mix',      # diurnal | elb | taxi | mix
    noise='nominal',    # clean | nominal  (see World._errors)
    colour_sd=0.0,      # sd of the log error-rate noise of EACH colour (AR1, 10 min)
    lat_colour_sd=0.02, # same for the latency scale
    clump=1.0,          # mean size of error clumps that stick to one colour
    cold=0,             # minutes after first green traffic with latency tail x1.5
    fault='none', T=120, stages=DEF_STAGES, delay=(0.6, 0.3, 0.1),
    err_lag=0.10, partial=0.05,
)
# fault name -> what it does; pX sets green's error rate to max(shared, X)
FAULTS = ('none', 'x2', 'x3', 'err0.5', 'err2', 'err10', 'err100', 'leak', 'capacity',
          'lat1.5', 'lat3', 'shared5', 'shared50', 'nogreen', 'outage', 'outage+err10')
BENIGN = ('none', 'shared5', 'shared50', 'outage')       # rollback there is FALSE

def cell(**kw):
    c = dict(DEFAULT_CELL); c.update(kw); return c

# --------------------------------------------------------------------- world
class World:
    """N independent cutovers of one cell."""
    def __init__(self, c, N, seed):
        self.c, self.N, self.T, self.H = c, N, c['T'], HIST
        self.rx = np.random.default_rng([seed, 1])      # exogenous
        self.rp = np.random.default_rng([seed, 2])      # period draws
        self.rs = np.random.default_rng([seed, 3])      # how slow the slow ones are
        self._traffic(); self._errors(); self._latency(); self._lags(); self._history()

    # -- exogenous -----------------------------------------------------
    def _traffic(self):
        c, N, L, r = self.c, self.N, self.H + self.T, self.rx
        kinds = {'mix': ('diurnal', 'elb', 'taxi')}.get(c['traffic'], (c['traffic'],))
        pick = r.choice(len(kinds), N, p=[.4, .4, .2] if len(kinds) == 3 else None)
        t = np.arange(L)[None, :]
        shape = np.ones((N, L))
        for i, kind in enumerate(kinds):
            m = np.nonzero(pick == i)[0]
            if not len(m): continue
            if kind == 'diurnal':
                ph = r.uniform(0, 1440, (len(m), 1))
                shape[m] = (1 + .5 * np.sin(2 * np.pi * (t + ph) / 1440)) \
                    * np.exp(ar1(r, len(m), L, .1, 10) - .005)
            else:
                s, step = (real('elb_request_count_8c0756.txt'), 5) if kind == 'elb' \
                    else (real('nyc_taxi.txt'), 30)
                s = s / s.mean()
                need = L // step + 2
                off = r.integers(0, len(s) - need, (len(m), 1)) * step
                x = (off + t) / step
                i0 = x.astype(int)
                if kind == 'elb':   shape[m] = s[i0]               # steps, with its real bursts
                else:               shape[m] = s[i0] * (1 - x + i0) + s[i0 + 1] * (x - i0)
        if c.get('flat'): shape[:] = 1.0
        self.R = r.poisson(c['volume'] * shape).astype(np.int64)

    def _errors(self):
        c, N, L, r, H = self.c, self.N, self.H + self.T, self.rx, self.H
        p = np.full((N, L), float(c['p0']))
        if c['noise'] == 'nominal':
            s = ar1(r, N, L, .3, 10) + r.normal(0, .2, (N, L))      # shared, autocorrelated + white
            p = p * np.exp(s - (.09 + .04) / 2)
            # shared-fate bursts: 0.5 per hour, +0.1 % .. +5 %, mean 3 min
            on = r.random((N, L)) < .5 / 60
            for i, k in zip(*np.nonzero(on)):
                d = r.geometric(1 / 3.)
                p[i, k:k + d] += 10 ** r.uniform(-3, math.log10(.05))
        f = c['fault']
        self.inc = None
        if f in ('shared5', 'shared50'):
            sev = .05 if f == 'shared5' else .5
            s0 = r.integers(5, 61, N)
            if c.get('incident_window'): s0 = r.integers(*c['incident_window'], N)
            self.inc = s0
            k = np.arange(L)[None, :] - H
            p = np.where((k >= s0[:, None]) & (k < s0[:, None] + 10), 1 - (1 - p) * (1 - sev), p)
        self.p = np.clip(p, 0, .98)
        sd = c['colour_sd']
        if sd > 0:
            self.cb = np.exp(ar1(r, N, L, sd, 10) - sd * sd / 2)
            self.cg = np.exp(ar1(r, N, L, sd, 10) - sd * sd / 2)
        else:
            self.cb = self.cg = None

    def _latency(self):
        c, N, L, r = self.c, self.N, self.H + self.T, self.rx
        s = real('ec2_request_latency_system_failure.txt')
        s = np.clip(s / np.median(s), .5, 2.5)
        off = r.integers(0, len(s) - L // 5 - 2, (N, 1)) * 5
        x = (off + np.arange(L)[None, :]) / 5.
        i0 = x.astype(int)
        self.ls = s[i0] * (1 - x + i0) + s[i0 + 1] * (x - i0)
        sd = c['lat_colour_sd']
        self.lb = np.exp(ar1(r, N, L, sd, 10)) if sd else np.ones((N, L))
        self.lg = np.exp(ar1(r, N, L, sd, 10)) if sd else np.ones((N, L))

    def _lags(self):
        c, N, T, r = self.c, self.N, self.T, self.rx
        k = np.arange(T)[None, :]
        self.an, self.ax, self.part = [], [], []
        for col in (0, 1):
            D = 1 + r.choice(3, (N, T), p=c['delay'])
            an = k + 1 + D
            lag = (r.random((N, T)) < c['err_lag']).astype(int)
            part = np.where(r.random((N, T)) < c['partial'], r.uniform(.5, .95, (N, T)), 1.0)
            if c['fault'].startswith('outage'):
                an = np.where((an >= 20) & (an < 50), 50, an)
            self.an.append(an); self.ax.append(an + lag); self.part.append(part)

    def _history(self):
        """Blue before the cutover: requests, errors, slow; and the split over 2 AZs."""
        H, r = self.H, self.rp
        R = self.R[:, :H]
        cb = self.cb[:, :H] if self.cb is not None else 1.0
        self.h_n = R
        self.h_x = self._draw_err(R, np.clip(self.p[:, :H] * cb, 0, .98))
        self.h_s = r.binomial(R, slow_p(self.ls[:, :H] * self.lb[:, :H]))
        na = r.binomial(R, .5)
        if self.c['clump'] > 1:
            xa = np.minimum(clumped(r, na, self.p[:, :H] * cb, self.c['clump']), self.h_x)
        else:
            sd = self.c['colour_sd']
            th = .5
            if sd: th = 1 / (1 + np.exp(-ar1(r, self.N, H, sd * 1.414, 10)))
            xa = r.binomial(self.h_x, th)
        sl = self.c['lat_colour_sd']        # the AZ halves of blue jitter like two colours do
        lo = ar1(r, self.N, H, sl, 10) if sl else 0.
        qa, qb = slow_p(self.ls[:, :H] * np.exp(lo)), slow_p(self.ls[:, :H] * np.exp(-lo))
        sa = r.binomial(self.h_s, np.clip(qa * na / np.maximum(qa * na + qb * (R - na), 1e-9), 0, 1))
        self.h_az = (na, xa, sa)        # AZ a of blue: requests, errors, slow; AZ b is the rest

    def _draw_err(self, n, p):
        if self.c['clump'] > 1: return clumped(self.rp, n, p, self.c['clump'])
        return self.rp.binomial(n, p)

    # -- one period ------------------------------------------------------
    def period(self, k, w, gstart, pct=False):
        """Draw period k at green weight w[N]; gstart[N] = minute of first green traffic."""
        c, r, j, f = self.c, self.rp, self.H + k, self.c['fault']
        R = self.R[:, j]
        ng = np.where(w >= 1, R, r.binomial(R, np.clip(w, 0, 1)))
        if f == 'nogreen': ng = np.zeros_like(ng); 
        nb = R - ng
        if f == 'nogreen': nb = R - r.binomial(R, np.clip(w, 0, 1))   # those requests get no target
        p = self.p[:, j]
        pb = np.clip(p * (self.cb[:, j] if self.cb is not None else 1), 0, .98)
        pg = np.clip(p * (self.cg[:, j] if self.cg is not None else 1), 0, .98)
        e = self.excess(k, w, gstart, pg)
        xb = self._draw_err(nb, pb)
        xg0 = self._draw_err(ng, pg)
        harm = r.binomial(ng - xg0, e)
        m = self.stretch(k, w, gstart)
        qb = slow_p(self.ls[:, j] * self.lb[:, j])
        sg = self.ls[:, j] * self.lg[:, j]
        qg0 = slow_p(sg); qg = slow_p(sg, m)
        sb = r.binomial(nb, qb)
        slg = r.binomial(ng, qg)
        slow_harm = r.binomial(slg, np.clip(np.where(qg > 0, 1 - qg0 / np.maximum(qg, 1e-12), 0), 0, 1))
        out = dict(nb=nb, ng=ng, xb=xb, xg=xg0 + harm, harm=harm, sb=sb, sg=slg,
                   slow_harm=slow_harm, pb=pb, pg=1 - (1 - pg) * (1 - e), qb=qb, qg=qg)
        out['zb'] = slower(self.rs, sb, qb, slow_p(self.ls[:, j] * self.lb[:, j], tau=2 * LAT_TAU))
        out['zg'] = slower(self.rs, slg, qg, slow_p(sg, m, 2 * LAT_TAU))
        if pct:
            out['pb3'] = pctiles(r, nb, self.ls[:, j] * self.lb[:, j], 1.0)
            out['pg3'] = pctiles(r, ng, sg, m)
        return out

    def excess(self, k, w, gstart, p):
        """Probability that green fails a request blue would have served."""
        f = self.c['fault']; N = self.N
        z = np.zeros(N)
        tgt = {'err0.5': .005, 'err2': .02, 'err10': .10, 'err100': 1.0, 'outage+err10': .10}.get(f)
        if f.startswith('add'):                   # any constant excess: add0.002; add0.002@0.25: from that weight on
            much, _, least = f[3:].partition('@')
            return np.where(w >= float(least or 0), float(much), z)
        if tgt is not None:
            p0 = self.c['p0']
            e = (tgt - p0) / (1 - p0) if tgt > p0 else 0.0
            if f == 'outage+err10' and k < 21: e = 0.0
            return z + min(e, 1.0)
        if f in ('x2', 'x3'):
            return np.clip(p * (int(f[1]) - 1) / np.maximum(1 - p, .02), 0, 1)
        if f == 'leak':                           # +0.1 % per minute after 10 minutes of traffic
            return np.clip((k - gstart - 10) * .001, 0, .05)
        if f == 'capacity':
            return np.where(w >= .5, .05, 0.0)
        return z

    def stretch(self, k, w, gstart):
        f = self.c['fault']
        m = {'lat1.5': 1.5, 'lat3': 3.0}.get(f, 1.0)
        m = np.full(self.N, m)
        if self.c['cold']:
            m = np.where(k - gstart < self.c['cold'], np.maximum(m, 1.5), m)
        return m

def ar1(r, N, L, sd, tau):
    a = math.exp(-1.0 / tau)
    from scipy.signal import lfilter
    e = r.normal(0, sd * math.sqrt(1 - a * a), (N, L))
    e[:, 0] = r.normal(0, sd, N)
    return lfilter([1], [1, -a], e, axis=1)

def clumped(r, n, p, m):
    k = r.poisson(n * p / m)
    return np.minimum(k + np.where(k > 0, r.negative_binomial(np.maximum(k, 1), 1.0 / m), 0), n)

def lat_F(x, scale):  return ndtr((np.log(x) - np.log(LAT_MED * scale)) / LAT_SIG)

def slow_p(scale, m=None, tau=LAT_TAU):
    """P(latency > tau) for a colour at latency scale, slowest 5 % stretched by m."""
    F = lat_F(tau, scale)
    if m is None: return 1 - F
    return np.where(m == 1, 1 - F, np.maximum(0, TAIL - F) + 1 - np.maximum(TAIL, lat_F(tau / m, scale)))

def slower(r, slow, q, q2):
    """How many of the slow requests took twice the limit, too; q and q2: shares of all requests."""
    return r.binomial(slow, np.clip(q2 / np.maximum(q, 1e-12), 0, 1))

def pctiles(r, n, scale, m):
    """Sample p50, p90, p99 (exact joint law of the order statistics); NaN when n = 0."""
    n = np.asarray(n); out = np.full((len(n), 3), np.nan)
    i = np.nonzero(n > 0)[0]
    if not len(i): return out
    nn = n[i]; up = np.ones(len(i)); kprev = nn + 1
    for c, q in ((2, .99), (1, .90), (0, .50)):
        k = np.maximum(1, np.ceil(q * nn)).astype(int)
        d = kprev - k
        u = np.where(d > 0, up * r.beta(k, np.maximum(d, 1)), up)
        x = LAT_MED * scale[i] * np.exp(LAT_SIG * ndtri(np.clip(u, 1e-12, 1 - 1e-12)))
        mm = m if np.isscalar(m) else m[i]
        out[i, c] = np.where(u > TAIL, x * mm, x)
        up, kprev = u, k
    return out

# ---------------------------------------------------------------------- view
class View:
    """What the judge may see at tick t. Arrays [N,T]; NaN = no datapoint visible.
    n[c], x[c], s[c], z[c], p99[c]: requests, 5xx, slow requests (TC above tau), those above
    2 tau, p99 of colour c (0 blue, 1 green).  x is NaN when zero OR not yet published: CloudWatch does not say
    which.  seen[c] = tick at which the request count of the period was first visible."""
    def __init__(self, N, T):
        g = lambda: [np.full((N, T), np.nan) for _ in (0, 1)]
        self.n, self.x, self.s, self.z = g(), g(), g(), g()
        self.pct = [np.full((N, T, 3), np.nan) for _ in (0, 1)]
        self.seen = [np.full((N, T), 10**6) for _ in (0, 1)]
        self.w = np.zeros((N, T))       # weight that was in force (the judge set it)
        self.t = 0

class Policy:
    name = '?'; pct = False; adaptive = False
    def start(self, world, N): pass
    def step(self, t, v, active, stage, clock): raise NotImplementedError
    def finish(self): pass

# -------------------------------------------------------------------- runner
def run(c, pol, N, seed, keep=False):
    """Run N cutovers of cell c under pol. Returns dict of arrays (one row per run)."""
    W = World(c, N, seed); T = W.T
    st_w = np.array([s[0] for s in c['stages']]); st_d = np.array([s[1] for s in c['stages']])
    S = len(st_w)
    v = View(N, T)
    truth = [np.zeros((N, T), np.int64) for _ in range(8)]     # nb ng xb xg sb sg zb zg
    state = np.zeros(N, int)          # 0 running 1 rolled back 2 promoted
    stage = np.zeros(N, int); clock = np.zeros(N, int)
    end = np.full(N, T); harm = np.zeros(N); sharm = np.zeros(N); greq = np.zeros(N)
    greq_roll = np.zeros(N); hold_t = np.zeros(N)
    rb_stage = np.full(N, -1); gstart = np.zeros(N)
    wad = np.zeros(N)                  # weight asked for by adaptive policies
    fails = np.zeros(N)                # healthy-colour failures of green (not harm)
    pol.world = W
    pol.start(W, N)
    for t in range(T):
        act = state == 0
        # ---- publish
        if t:
            full = c['fault'].startswith('outage') and 50 <= t <= 52
            lo = 0 if full else max(0, t - 8)
            for k in range(lo, t):
                for col in (0, 1):
                    n = truth[col][:, k]
                    m = (W.an[col][:, k] <= t) & (n > 0)
                    if not m.any(): continue
                    fresh = m & (v.seen[col][:, k] == 10**6)
                    v.seen[col][fresh, k] = t
                    fr = np.where(v.seen[col][:, k] == t, W.part[col][:, k], 1.0)
                    nn = np.ceil(n * fr)
                    v.n[col][m, k] = nn[m]
                    v.s[col][m, k] = np.round(truth[4 + col][:, k] * fr)[m]
                    v.z[col][m, k] = np.round(truth[6 + col][:, k] * fr)[m]
                    xx = np.round(truth[2 + col][:, k] * fr)
                    mx = m & (W.ax[col][:, k] <= t) & (xx > 0)
                    v.x[col][mx, k] = xx[mx]
                    if pol.pct: v.pct[col][m, k] = pol._p3[col][m, k]
        v.t = t
        # ---- judge
        if act.any():
            verdict = pol.step(t, v, act, stage, clock)
            if isinstance(verdict, tuple): verdict, wad = verdict
            rb = act & (verdict == ROLL)
            state[rb] = 1; end[rb] = t; rb_stage[rb] = stage[rb]; greq_roll[rb] = greq[rb]
            hold_t += act & (verdict == HOLD)
            if pol.adaptive:
                pr = act & ~rb & (wad > 1)
                state[pr] = 2; end[pr] = t
            else:
                go = act & (verdict == CONT) & (clock >= st_d[stage])
                fin = go & (stage == S - 1)
                state[fin] = 2; end[fin] = t
                adv = go & ~fin
                stage[adv] += 1; clock[adv] = 0
        elif (state == 1).all():
            break
        # ---- traffic
        if pol.adaptive: w = np.where(state == 0, np.minimum(wad, 1), np.where(state == 2, 1.0, 0.0))
        else:            w = np.where(state == 0, st_w[stage], np.where(state == 2, 1.0, 0.0))
        v.w[:, t] = w
        clock += 1
        o = W.period(t, w, gstart, pol.pct)
        for a, key in zip(truth, ('nb', 'ng', 'xb', 'xg', 'sb', 'sg', 'zb', 'zg')): a[:, t] = o[key]
        if pol.pct:
            if t == 0: pol._p3 = [np.full((N, T, 3), np.nan) for _ in (0, 1)]
            pol._p3[0][:, t] = o['pb3']; pol._p3[1][:, t] = o['pg3']
        if hasattr(pol, 'peek'): pol.peek(t, o)
        harm += o['harm']; sharm += o['slow_harm']; greq += o['ng']
    pol.finish()
    res = dict(state=state, end=end, harm=harm, slow_harm=sharm, greq=np.where(state == 1, greq_roll, greq),
               hold=hold_t, rb_stage=rb_stage)
    if keep: res['truth'] = truth; res['view'] = v; res['world'] = W
    return res

# ------------------------------------------------------------------ external
class External(Policy):
    """Black-box judge: one process per cutover, JSON lines in, one verdict line per tick."""
    name = 'external'; pct = True
    def __init__(self, cmd, adaptive=False, log=None):
        self.cmd, self.adaptive, self.log = cmd, adaptive, log
    def start(self, W, N):
        self.N = N; self.ps = []; c = W.c
        self.sent = [[{} for _ in (0, 1)] for _ in range(N)]
        self.last = np.zeros(N, int); self.wad = np.zeros(N); self.reasons = [''] * N
        for i in range(N):
            p = subprocess.Popen(self.cmd, shell=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1 << 16)
            self.ps.append(p)
            self._w(i, dict(type='start', period_s=60, slow_threshold_ms=round(LAT_TAU, 3), horizon_min=W.T,
                            stages=[dict(weight=a, dwell_min=b) for a, b in c['stages']], adaptive=self.adaptive))
            for k in range(W.H):
                n, x = int(W.h_n[i, k]), int(W.h_x[i, k])
                na, xa, sa = (int(q[i, k]) for q in W.h_az)
                if n == 0: continue
                d = dict(type='history', colour='blue', period=k - W.H, requests=n)
                if x: d['errors'] = x
                d['slow'] = int(W.h_s[i, k])
                d['az'] = [[na, xa, sa], [n - na, x - xa, d['slow'] - sa]]
                self._w(i, d)
    def _w(self, i, d):
        s = json.dumps(d, separators=(',', ':'))
        if self.log and i == 0: self.log.write('> ' + s + '\n')
        try: self.ps[i].stdin.write(s + '\n')
        except BrokenPipeError: pass
    def step(self, t, v, active, stage, clock):
        out = np.full(self.N, CONT)
        lo = max(0, t - 60)
        idx = np.nonzero(active)[0]
        for i in idx:
            for col in (0, 1):
                sent = self.sent[i][col]
                for k in range(lo, t):
                    n = v.n[col][i, k]
                    if n != n: continue
                    x = v.x[col][i, k]
                    cur = (n, x if x == x else None)
                    if sent.get(k) == cur: continue
                    d = dict(type='obs', colour=('blue', 'green')[col], period=k, requests=int(n))
                    if cur[1] is not None: d['errors'] = int(x)
                    d['slow'], d['slower'] = int(v.s[col][i, k]), int(v.z[col][i, k])
                    q = v.pct[col][i, k]
                    if q[0] == q[0]: d.update(p50=round(q[0], 2), p90=round(q[1], 2), p99=round(q[2], 2))
                    if k in sent: d['revised'] = True
                    sent[k] = cur
                    self._w(i, d)
            self._w(i, dict(type='tick', now=t, stage=int(stage[i]), weight=float(v.w[i, t - 1]) if t else 0.0,
                            stage_clock=int(clock[i])))
            try: self.ps[i].stdin.flush()
            except BrokenPipeError: pass
        for i in idx:
            line = self.ps[i].stdout.readline()
            if not line: raise RuntimeError('judge %d ended without a verdict at tick %d' % (i, t))
            if self.log and i == 0: self.log.write('< ' + line)
            d = json.loads(line)
            out[i] = VCODE[d['verdict']]
            self.reasons[i] = d.get('reason', '')
            if self.adaptive: self.wad[i] = 2.0 if d.get('promote') else d.get('weight', self.wad[i])
        return (out, self.wad) if self.adaptive else out
    def finish(self):
        for p in self.ps:
            try: p.stdin.close()
            except BrokenPipeError: pass
        for p in self.ps: p.wait()

# ------------------------------------------------------------------- summary
def wilson(k, n, z=1.96):
    if n == 0: return (float('nan'),) * 3
    p = k / n; d = 1 + z * z / n
    m = (p + z * z / (2 * n)) / d; h = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / d
    return p, max(0, m - h), min(1, m + h)

def summarise(c, name, res, seed):
    st = res['state']; N = len(st); rb = st == 1
    f = c['fault']; onset = {'outage+err10': 21}.get(f, 0)
    p, lo, hi = wilson(rb.sum(), N)
    d = dict(policy=name, volume=c['volume'], p0=c['p0'], fault=f, noise=c['noise'], colour_sd=c['colour_sd'],
             clump=c['clump'], cold=c['cold'], T=c['T'], N=N, seed=seed,
             rollback=p, rb_lo=lo, rb_hi=hi, promoted=(st == 2).mean(), undecided=(st == 0).mean(),
             delay_med=np.median(res['end'][rb]) if rb.any() else float('nan'),
             delay_mean=res['end'][rb].mean() if rb.any() else float('nan'),
             greq_mean=res['greq'][rb].mean() if rb.any() else float('nan'),
             harm_mean=res['harm'].mean(), harm_se=res['harm'].std() / math.sqrt(N),
             harm_q95=np.quantile(res['harm'], .95),
             slow_mean=res['slow_harm'].mean(), slow_se=res['slow_harm'].std() / math.sqrt(N),
             hold_mean=res['hold'].mean(),
             t_promote=np.median(res['end'][st == 2]) if (st == 2).any() else float('nan'))
    return d

def merge(rs):
    return {k: np.concatenate([r[k] for r in rs]) for k in rs[0]}

def get_policy(name):
    import peers, candidates, oracle, ours
    for m in (peers, candidates, oracle, ours):
        p = m.make(name)
        if p is not None: return p
    raise SystemExit('unknown policy ' + name)

def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('what', choices=['list', 'run', 'trace'])
    ap.add_argument('--policy', default='cw-alarm'); ap.add_argument('--cmd')
    ap.add_argument('--adaptive', action='store_true', help='external judge names the weight itself')
    ap.add_argument('--fault', default='none', help=' '.join(FAULTS) + ' or addX (constant excess X), addX@W (from weight W on)')
    ap.add_argument('--volume', type=float, default=1000); ap.add_argument('--p0', type=float, default=.001)
    ap.add_argument('--traffic', default='mix'); ap.add_argument('--noise', default='nominal')
    ap.add_argument('--colour-sd', type=float, default=0.); ap.add_argument('--clump', type=float, default=1.)
    ap.add_argument('--flat', action='store_true', help='constant traffic'); ap.add_argument('--lat-colour-sd', type=float, default=.02)
    ap.add_argument('--cold', type=int, default=0); ap.add_argument('--horizon', type=int, default=120)
    ap.add_argument('--stages', help='w:min,w:min,...  e.g. 0.01:5,0.05:5,0.25:10,0.5:10,1:30')
    ap.add_argument('-n', type=int, default=500); ap.add_argument('--seed', type=int, default=1)
    ap.add_argument('--batch', type=int, default=200, help='external: processes at once')
    ap.add_argument('--csv')
    a = ap.parse_args()
    if a.what == 'list':
        import peers, candidates, oracle, ours
        for m in (peers, candidates, oracle, ours): print(m.__name__, ' '.join(m.NAMES))
        print('faults', ' '.join(FAULTS)); return
    c = cell(volume=a.volume, p0=a.p0, traffic=a.traffic, noise=a.noise, colour_sd=a.colour_sd, clump=a.clump,
             cold=a.cold, fault=a.fault, T=a.horizon, lat_colour_sd=a.lat_colour_sd)
    if a.flat: c['flat'] = True
    if a.stages: c['stages'] = tuple((float(s.split(':')[0]), int(s.split(':')[1])) for s in a.stages.split(','))
    if a.what == 'trace':
        run(c, External(a.cmd or "awk '/\"tick\"/{print \"{\\\"verdict\\\":\\\"continue\\\"}\";fflush()}'", a.adaptive, sys.stdout), 1, a.seed)
        return
    t0 = time.time()
    if a.cmd:
        rs, done, b = [], 0, 0
        while done < a.n:
            m = min(a.batch, a.n - done)
            rs.append(run(c, External(a.cmd, a.adaptive), m, a.seed * 1000003 + b)); done += m; b += 1
        res, name = merge(rs), a.cmd
    else:
        res, name = run(c, get_policy(a.policy), a.n, a.seed), a.policy
    d = summarise(c, name, res, a.seed); d['seconds'] = round(time.time() - t0, 2)
    print(json.dumps({k: (float(v) if isinstance(v, np.floating) else v) for k, v in d.items()}))
    if a.csv:
        new = not os.path.exists(a.csv)
        with open(a.csv, 'a') as f:
            wr = csv.DictWriter(f, d.keys())
            if new: wr.writeheader()
            wr.writerow(d)

if __name__ == '__main__': main()
