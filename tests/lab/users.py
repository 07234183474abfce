"""What users saw, out of the record that load.py wrote."""
import json


def read(path):
    with open(path) as f:
        return [json.loads(line) for line in f if line.endswith('}\n')]


def colour(line):
    return line['colour'].rstrip('0123456789') or 'none'


def refused(line):
    """What the wiki refused because it is read-only, in its own clean way."""
    return line['kind'] in ('edit', 'login') and line['status'] == 200 and line.get('error') == 'readonly'


class Seen:
    """The record of a run; kept: how often each edit summary is in the database."""

    def __init__(self, lines, kept):
        self.lines = lines
        self.edits = [li for li in lines if li['kind'] == 'edit']
        self.accepted = {li['summary'] for li in self.edits if li['ok']}
        self.refused = {li['summary'] for li in self.edits if refused(li)}
        self.lost = sorted(self.accepted - set(kept))
        self.doubled = sorted(s for s, n in kept.items() if n > 1)
        self.kept_though_refused = sorted(self.refused & set(kept))

    def failed(self, lines=None):
        lines = self.lines if lines is None else lines
        return sum(not li['ok'] and not refused(li) for li in lines), len(lines)

    def between(self, start, end):
        return [li for li in self.lines if start <= li['t'] < end]

    def by_colour(self, lines):
        out = {}
        for line in lines:
            good, all_ = out.get(colour(line), (0, 0))
            out[colour(line)] = good + (line['ok'] or refused(line)), all_ + 1
        return out

    def latency(self, lines, share=0.5):
        values = sorted(li['ms'] for li in lines)
        return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def share_text(failed, total):
    return f'{failed} of {total} ({100 * failed / total:.2f} %)' if total else '0 of 0'
