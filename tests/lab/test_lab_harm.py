"""What is called as predicted and what is not, for one demo and for several."""
import contextlib
import io
import unittest
from unittest import mock

import harm

FOUND = {'harmed': {'mean': 6.0, 'low': 3.0, 'high': 12.0}, 'means': {'low': 4.0, 'high': 8.0}, 'chance_above': 0.02}


def run(harmed):
    return {'harmed': harmed, 'asked': {'plan': 'p', 'rate': 20, 'past': 7, 'excess': 0.02, 'least': 0.25, 'delay': 2}}


class Harm(unittest.TestCase):
    def test_one_run_is_one_throw_of_the_dice(self):
        self.assertEqual([harm.agrees(n, FOUND['harmed']) for n in (1, 2, 18, 19)], [False, True, True, False])

    def compared(self, *harmed):
        with mock.patch.object(harm, 'predict', return_value=FOUND), contextlib.redirect_stdout(io.StringIO()) as said:
            return harm.compare([run(n) for n in harmed]), said.getvalue()

    def test_the_mean_may_be_half_as_much_again_and_no_more(self):
        self.assertTrue(self.compared(3, 15)[0])
        self.assertFalse(self.compared(3, 16)[0])

    def test_less_than_predicted_is_said_and_is_no_failure(self):
        good, said = self.compared(3, 3)
        self.assertTrue(good)
        self.assertIn('too gloomy', said)

    def test_a_prediction_that_fails_is_an_error(self):
        with mock.patch.object(harm.subprocess, 'run', return_value=mock.Mock(returncode=1, stderr='no such plan')):
            self.assertRaisesRegex(RuntimeError, 'no such plan', harm.predict, 'p', {}, 20, 7, 0.02, 0.25, 2)


if __name__ == '__main__':
    unittest.main()
