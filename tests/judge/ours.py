"""The judge of build/cutover as a policy of the harness: its own sources (build/judge/judge.so, see
batch.c), many cutovers a call, so that thousands of worlds take seconds. cells.py holds it equal to
`cutover judge` behind its pipe."""
import ctypes as C, os
import numpy as np
from harness import Policy

NAMES = ['ours', 'ours-auto', 'ours-reference']
_lib = None


def lib():
    global _lib
    if _lib is None:
        _lib = C.CDLL(os.environ.get('JUDGE_SO') or os.path.join(os.path.dirname(__file__), '..', '..', 'build', 'judge', 'judge.so'))
        _lib.batch_new.restype = C.c_void_p
        _lib.batch_tune.argtypes = [C.c_void_p, C.c_char_p, C.c_double]
        _lib.batch_tuning_size.restype = C.c_size_t
    return _lib


def pointer(a):
    return a.ctypes.data_as(C.c_void_p)


def pointers(arrays):
    return (C.c_void_p * len(arrays))(*[pointer(a) for a in arrays])


class Ours(Policy):
    METRICS = 3  # bits: errors and slow requests

    def __init__(self, auto=False, reference=False, name='ours', **tune):
        self.adaptive, self.reference, self.name, self.tune = auto, reference, name, tune

    def past(self, W):
        return W.h_n, W.h_x, W.h_s, *W.h_az

    def start(self, W, N):
        tuning = C.create_string_buffer(lib().batch_tuning_size())
        lib().batch_tuning(tuning, int(self.reference))
        for k, v in self.tune.items():
            if not lib().batch_tune(tuning, k.encode(), float(v)):
                raise ValueError('no such setting, or out of its bounds: %s=%s' % (k, v))
        self.history = [np.ascontiguousarray(a, float) for a in self.past(W)]
        weights = np.array([s[0] for s in W.c['stages']], float)
        self.batch = C.c_void_p(lib().batch_new(N, W.T, self.METRICS, pointer(weights), len(weights), int(self.adaptive),
                                                tuning, pointers(self.history)))
        self.verdict, self.next, self.log_e = np.zeros(N), np.zeros(N), np.zeros(N)

    def step(self, t, v, active, stage, clock):
        weight = np.ascontiguousarray(v.w[:, t - 1] if t else np.zeros(len(active)))
        act, at = np.ascontiguousarray(active, np.uint8), np.ascontiguousarray(stage, np.int64)
        lib().batch_poll(self.batch, t, pointer(act), pointer(at), pointer(weight), pointers(v.n + v.x + v.s + v.z),
                         pointer(self.verdict), pointer(self.next), pointer(self.log_e))
        out = self.verdict.astype(int)
        return (out, self.next.copy()) if self.adaptive else out

    def finish(self):
        lib().batch_free(self.batch)


def make(name):
    return {'ours': lambda: Ours(), 'ours-auto': lambda: Ours(auto=True, name=name),
            'ours-reference': lambda: Ours(reference=True, name=name)}.get(name, lambda: None)()
