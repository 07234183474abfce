"""What users saw, out of the record that load.py wrote."""
import json


def read(path):
    with open(path) as f:
        return [json.loads(line) for line in f if line.endswith('}\n')]


def colour(line):
    return line['colour'].rstrip('0123456789') or 'none'


class Seen:
    """The record of a run; kept: the edit summaries that are in the database."""

    def __init__(self, lines, kept):
        self.lines = lines
        edits = [li for li in lines if li['kind'] == 'edit']
        self.accepted = {li['summary'] for li in edits if li['ok']}
        self.lost = sorted(self.accepted - kept)

    def failed(self, lines=None):
        lines = self.lines if lines is None else lines
        return sum(not li['ok'] for li in lines), len(lines)

    def between(self, start, end):
        return [li for li in self.lines if start <= li['t'] < end]

    def by_colour(self, lines):
        out = {}
        for line in lines:
            good, all_ = out.get(colour(line), (0, 0))
            out[colour(line)] = good + line['ok'], all_ + 1
        return out

    def latency(self, lines, share=0.5):
        values = sorted(li['ms'] for li in lines)
        return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def share_text(failed, total):
    return f'{failed} of {total} ({100 * failed / total:.2f} %)' if total else '0 of 0'
