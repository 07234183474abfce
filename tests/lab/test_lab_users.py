"""What editors were told against what the database has: each way to be wrong is seen."""
import unittest

from users import Seen


def edit(name, ok=True, status=200, error=None):
    return {'t': 1.0, 'kind': 'edit', 'status': status, 'ms': 5, 'colour': 'blue1', 'ok': ok, 'summary': name,
            **({'error': error} if error else {})}


class Edits(unittest.TestCase):
    def seen(self, kept):
        return Seen([edit('a'), edit('b'), edit('no', ok=False, error='readonly'), edit('bad', ok=False, status=500),
                     edit('token', ok=False, error='badtoken')], kept)

    def test_all_is_well(self):
        seen = self.seen({'a': 1, 'b': 1})
        self.assertEqual((seen.lost, seen.doubled, seen.kept_though_refused), ([], [], []))

    def test_one_is_lost(self):
        self.assertEqual(self.seen({'a': 1}).lost, ['b'])

    def test_one_is_there_twice(self):
        self.assertEqual(self.seen({'a': 2, 'b': 1}).doubled, ['a'])

    def test_one_is_there_though_it_was_refused(self):
        self.assertEqual(self.seen({'a': 1, 'b': 1, 'no': 1}).kept_though_refused, ['no'])

    def test_a_refusal_in_words_is_no_failure_and_everything_else_is(self):
        seen = self.seen({})
        self.assertEqual((seen.failed(), sorted(seen.refused)), ((2, 5), ['no']))


if __name__ == '__main__':
    unittest.main()
