"""db/replica.h against a real MariaDB and a copy that follows it by binlog."""
import json
import os
import subprocess
import threading
import time
import unittest

import server

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.path.join(ROOT, 'build', 'asan', 'tools', 'replica')
HERE = {}


def setUpModule():
    HERE['servers'] = s = server.Server()
    unittest.addModuleCleanup(s.close)
    HERE['source'] = s.start('source', '--log-bin=source-bin', '--server-id=1', '--binlog-format=ROW')
    HERE['copy'] = s.start('copy', '--server-id=2', '--log-bin=copy-bin')
    for each in HERE['source'], HERE['copy']:
        each.sql("SET sql_log_bin=0; CREATE USER asks@'%'; GRANT PROCESS, BINLOG MONITOR, REPLICA MONITOR, "
                 "REPLICATION SLAVE ADMIN, RELOAD ON *.* TO asks@'%'; CREATE USER nobody@'%'; "
                 "GRANT SELECT, EXECUTE, INSERT ON mysql.* TO asks@'%'; GRANT SELECT ON wiki.* TO asks@'%'; "
                 "GRANT SELECT ON other.* TO asks@'%'")
    HERE['source'].sql("CREATE USER follows@'%' IDENTIFIED BY 'follows'; GRANT REPLICATION SLAVE ON *.* TO follows@'%'; "
                       "CREATE DATABASE wiki; CREATE TABLE wiki.t (a INT PRIMARY KEY) ENGINE=InnoDB")


def ask(instance, *question, user='asks'):
    done = subprocess.run([TOOL, '127.0.0.1', str(instance.port), user, *map(str, question)], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def reached(done, want):
    args = [done['file'], str(done['at']), want['file'], str(want['at'])]
    out = subprocess.run([TOOL, '-', '-', '-', 'reached', *args], capture_output=True, text=True, check=True).stdout
    return json.loads(out)['reached']


def wait(what, seconds=20, every=0.05):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(every)
    return False


class Replica(unittest.TestCase):
    def setUp(self):
        self.source, self.copy = HERE['source'], HERE['copy']

    def follow(self):
        self.copy.sql(f"CHANGE MASTER TO master_host='127.0.0.1', master_port={self.source.port}, master_user='follows', "
                      "master_password='follows', master_log_file='source-bin.000001', master_log_pos=4; START SLAVE")
        self.addCleanup(self.copy.sql, 'STOP SLAVE; RESET SLAVE ALL; DROP DATABASE IF EXISTS wiki; DROP USER IF EXISTS follows@"%"')
        self.assertTrue(wait(lambda: self.has_everything()), ask(self.copy, 'replica'))

    def has_everything(self):
        return reached(ask(self.copy, 'replica')['done'], ask(self.source, 'position'))

    def insert(self, n):
        self.source.sql(f'REPLACE INTO wiki.t VALUES ({n})')

    def test_position_moves_with_a_write_and_only_then(self):
        before = ask(self.source, 'position')
        self.assertEqual(before, ask(self.source, 'position'))
        self.insert(1)
        after = ask(self.source, 'position')
        self.assertTrue(reached(after, before))
        self.assertFalse(reached(before, after))

    def test_position_in_a_newer_file_is_further(self):
        before = ask(self.source, 'position')
        self.source.sql('FLUSH BINARY LOGS')
        after = ask(self.source, 'position')
        self.assertNotEqual(before['file'], after['file'])
        self.assertLess(after['at'], before['at'] + 1)
        self.assertTrue(reached(after, before))
        self.assertFalse(reached(before, after))

    def test_positions_that_cannot_be_compared_are_not_reached(self):
        for file in '', 'mysql-bin', 'other.000009', 'target-bin.000009', 'source-bin.', 'source-bin.x':
            self.assertFalse(reached({'file': file, 'at': 9999}, {'file': 'source-bin.000001', 'at': 4}), file)
            self.assertFalse(reached({'file': 'source-bin.000001', 'at': 9999}, {'file': file, 'at': 4}), file)

    def test_server_that_follows_nobody(self):
        said = ask(self.source, 'replica')
        self.assertFalse(said['follows'])
        self.assertEqual(said['lag_s'], -1)

    def test_copy_follows_to_the_last_write(self):
        self.follow()
        said = ask(self.copy, 'replica')
        self.assertTrue(said['follows'] and said['fetches'] and said['applies'])
        self.assertEqual((said['source'], said['error']), ('127.0.0.1', ''))
        for n in range(20, 40):
            self.insert(n)
        self.assertTrue(wait(self.has_everything))
        self.assertEqual(self.copy.sql('SELECT COUNT(*) FROM wiki.t WHERE a BETWEEN 20 AND 39'), [['20']])

    def test_stuck_copy_says_so_and_has_not_reached(self):
        self.follow()
        self.copy.sql('STOP SLAVE SQL_THREAD')
        self.insert(50)
        said = ask(self.copy, 'replica')
        self.assertEqual((said['fetches'], said['applies'], said['lag_s']), (True, False, -1))
        self.assertFalse(self.has_everything())

    def test_no_lag_is_no_proof(self):
        """Nothing left to apply, and the last write was never fetched: lag 0 or unknown, position not reached."""
        self.follow()
        self.copy.sql('STOP SLAVE IO_THREAD')
        self.insert(60)
        said = ask(self.copy, 'replica')
        self.assertEqual((said['fetches'], said['applies']), (False, True))
        self.assertFalse(self.has_everything())

    def test_error_of_the_copy_is_told(self):
        self.follow()
        self.copy.sql('INSERT INTO wiki.t VALUES (70)')
        self.source.sql('INSERT INTO wiki.t VALUES (70)')
        self.assertTrue(wait(lambda: ask(self.copy, 'replica')['error']))
        self.assertIn('Duplicate entry', ask(self.copy, 'replica')['error'])

    def test_detach_stops_for_good(self):
        self.follow()
        self.assertEqual(ask(self.copy, 'detach'), {})
        self.assertFalse(ask(self.copy, 'replica')['follows'])
        self.insert(80)
        time.sleep(0.3)
        self.assertEqual(self.copy.sql('SELECT COUNT(*) FROM wiki.t WHERE a = 80'), [['0']])
        self.assertEqual(ask(self.copy, 'detach'), {})  # again it does nothing
        self.assertEqual(self.copy.sql('SHOW SLAVE STATUS'), [])

    def test_detach_by_the_procedures_of_rds(self):
        """They answer with rows, and write into a table of theirs: a read-only session would refuse that."""
        self.follow()
        self.copy.sql('''SET sql_log_bin=0; CREATE TABLE mysql.rds_history (what TEXT) ENGINE=InnoDB;
            DELIMITER //
            CREATE PROCEDURE mysql.rds_stop_replication() BEGIN INSERT INTO mysql.rds_history VALUES ('stop');
              STOP SLAVE; SELECT 'Slave is down or disabled' AS Message; SELECT 1; END //
            CREATE PROCEDURE mysql.rds_reset_external_master() BEGIN INSERT INTO mysql.rds_history VALUES ('reset');
              RESET SLAVE ALL; SELECT 'Slave has been reset' AS message; END //
            DELIMITER ;''')
        self.addCleanup(self.copy.sql, 'SET sql_log_bin=0; DROP PROCEDURE mysql.rds_stop_replication; '
                                       'DROP PROCEDURE mysql.rds_reset_external_master; DROP TABLE mysql.rds_history')
        self.assertEqual(ask(self.copy, 'detach'), {})
        self.assertFalse(ask(self.copy, 'replica')['follows'])
        self.assertEqual(self.copy.sql('SELECT what FROM mysql.rds_history'), [['stop'], ['reset']])

    def test_to_stop_following_takes_ten_seconds_at_most(self):
        """The engine waits for it: a minute of silence, as the library has it, is a lost lease. It may be done all the same."""
        self.follow()
        self.copy.sql('''SET sql_log_bin=0;
            DELIMITER //
            CREATE PROCEDURE mysql.rds_stop_replication() BEGIN DO SLEEP(14); END //
            CREATE PROCEDURE mysql.rds_reset_external_master() BEGIN RESET SLAVE ALL; END //
            DELIMITER ;''')
        self.addCleanup(self.copy.sql, 'SET sql_log_bin=0; DROP PROCEDURE mysql.rds_stop_replication; '
                                       'DROP PROCEDURE mysql.rds_reset_external_master')
        begun = time.monotonic()
        said = ask(self.copy, 'detach')
        self.assertEqual(said.get('kind'), 'unsure', said)
        self.assertLess(time.monotonic() - begun, 16)

    # --- what was written since -----------------------------------------------------------

    def written(self, since, counts=None, user='asks'):
        return ask(self.source, 'written', json.dumps({**since, 'counts': counts}), user=user)

    def test_written_since_names_tables_and_statements(self):
        since = ask(self.source, 'position')
        self.assertEqual(self.written(since)['tables'], {})
        self.insert(3000)
        self.source.sql("CREATE DATABASE other; CREATE TABLE other.t (a INT) ENGINE=InnoDB; INSERT INTO other.t VALUES (1); "
                        "SET SESSION binlog_format='STATEMENT'; USE wiki; INSERT INTO t VALUES (3001)")
        self.addCleanup(self.source.sql, 'DROP DATABASE other')
        said = self.written(since)
        self.assertEqual(said['tables'], {'wiki.t': 1, 'other': 2, 'other.t': 1, 'wiki': 1})
        self.assertTrue(said['whole'])
        self.assertEqual(said['upto'], ask(self.source, 'position'))
        self.assertEqual(self.written(since, ['wiki'])['tables'], {'wiki.t': 1, 'wiki': 1})
        self.assertEqual(self.written(since, ['other.u'])['tables'], {'other': 2})  # of a statement the table is not known
        self.assertEqual(self.written(said['upto'])['tables'], {})

    def test_what_rds_writes_by_itself_is_not_written(self):
        self.source.sql('SET sql_log_bin=0; CREATE TABLE mysql.rds_heartbeat2 (id INT PRIMARY KEY, value BIGINT) ENGINE=InnoDB')
        self.addCleanup(self.source.sql, 'SET sql_log_bin=0; DROP TABLE mysql.rds_heartbeat2')
        since = ask(self.source, 'position')
        for form in 'ROW', 'STATEMENT', 'MIXED':
            self.source.sql(f"SET SESSION binlog_format='{form}'; USE mysql; FLUSH BINARY LOGS; INSERT INTO mysql.rds_heartbeat2(id, value) "
                            'VALUES (1, 2) ON DUPLICATE KEY UPDATE value = value + 1; CREATE TEMPORARY TABLE wiki.x (a INT); '
                            "CREATE USER IF NOT EXISTS later@'%'; ANALYZE TABLE wiki.t; FLUSH TABLES")
        said = self.written(since)
        self.assertEqual((said['tables'], said['whole']), ({}, True))
        self.assertNotEqual(said['upto']['file'], since['file'])
        self.insert(3002)
        self.source.sql('FLUSH BINARY LOGS')
        self.assertEqual(self.written(since)['tables'], {'wiki.t': 1})

    def test_written_in_every_form_is_seen(self):
        """Compressed, prepared by XA, with the statement beside its rows, by tables' changes."""
        self.addCleanup(self.source.sql, 'SET GLOBAL log_bin_compress=0; SET GLOBAL binlog_annotate_row_events=1')
        for word in ("SET GLOBAL log_bin_compress=1; SET GLOBAL log_bin_compress_min_len=10; INSERT INTO wiki.t VALUES (1001),(1002),(1003)",
                     "XA START 'a'; INSERT INTO wiki.t VALUES (1010); XA END 'a'; XA PREPARE 'a'; XA COMMIT 'a'",
                     'DELETE FROM wiki.t WHERE a > 1000', 'UPDATE wiki.t SET a = a + 5000 ORDER BY a DESC LIMIT 1',
                     'ALTER TABLE wiki.t COMMENT "x"', "SET SESSION binlog_format='STATEMENT'; INSERT INTO wiki.t VALUES (1020)",
                     'TRUNCATE wiki.t'):
            since = ask(self.source, 'position')
            self.source.sql(word)
            self.assertTrue(self.written(since, ['wiki'])['tables'], word)

    def alone(self):
        """Its log is followed by nobody, who would keep its files, and leaves one database out."""
        if 'alone' not in HERE:
            HERE['alone'] = HERE['servers'].start('alone', '--log-bin=alone-bin', '--server-id=9', '--binlog-ignore-db=sessions')
            HERE['alone'].sql("SET sql_log_bin=0; CREATE USER asks@'%'; GRANT BINLOG MONITOR, SELECT ON *.* TO asks@'%'; "
                              'CREATE DATABASE wiki; CREATE DATABASE sessions')
        return HERE['alone']

    def test_log_that_is_gone_or_begun_anew_is_not_known(self):
        alone = self.alone()
        since = ask(alone, 'position')
        alone.sql('FLUSH BINARY LOGS')
        now = ask(alone, 'position')
        asked = lambda at: ask(alone, 'written', json.dumps({**at, 'counts': ['wiki']}))
        self.assertEqual(asked(since)['tables'], {})
        alone.sql(f"PURGE BINARY LOGS TO '{now['file']}'")
        self.assertEqual(asked(now)['tables'], {})
        for odd in since, {'file': 'other.000001', 'at': 4}, {**now, 'at': 10 ** 9}, {**now, 'at': now['at'] - 7}, {'file': '', 'at': 0}:
            self.assertEqual(asked(odd).get('kind'), 'gate', odd)

    def test_database_that_the_log_leaves_out_is_not_known(self):
        alone = self.alone()
        since = ask(alone, 'position')
        for counts, known in (None, False), (['sessions'], False), (['wiki'], True):
            said = ask(alone, 'written', json.dumps({**since, 'counts': counts}))
            self.assertEqual('tables' in said, known, said)

    def test_database_that_is_not_there_is_never_seen_to_be_written(self):
        since = ask(self.source, 'position')
        for user, counts in (('asks', 'wikki'), ('asks', 'wikki.page'), ('nobody', 'wiki')):
            said = self.written(since, ['mysql', counts] if user == 'asks' else [counts], user)
            self.assertIn(f'names {counts}', said.get('msg', ''), said)

    def test_server_without_a_log_is_not_known(self):
        said = ask(self.copy_without_log(), 'written', json.dumps({'file': 'source-bin.000001', 'at': 4}))
        self.assertEqual(said['kind'], 'gate')
        self.assertIn('writes no binlog', said['msg'])

    def copy_without_log(self):
        server = HERE['servers'].start('silent', '--server-id=8')
        server.sql("CREATE USER asks@'%'; GRANT BINLOG MONITOR ON *.* TO asks@'%'")
        return server

    def test_transaction_that_has_written_and_not_ended_is_counted(self):
        self.insert(94)
        since = ask(self.source, 'position')
        reader = self.source.session('START TRANSACTION; SELECT * FROM wiki.t', 'wiki')
        session = self.source.session('START TRANSACTION; UPDATE wiki.t SET a = 95 WHERE a = 94', 'wiki')
        try:
            self.assertTrue(wait(lambda: ask(self.source, 'writers', 'null') == {'writers': 1}, every=0.3))
            for counts, n in (['wiki'], 1), (['wiki.t'], 1), (['other'], 0):
                time.sleep(0.3)
                self.assertEqual(ask(self.source, 'writers', json.dumps(counts)), {'writers': n}, counts)
            self.assertEqual(self.written(since)['tables'], {})
            session.process.stdin.write('COMMIT;\n')
            session.process.stdin.flush()
            self.assertTrue(wait(lambda: self.written(since)['tables'] == {'wiki.t': 1}))
        finally:
            session.close()
            reader.close()
        self.assertTrue(wait(lambda: ask(self.source, 'writers', 'null') == {'writers': 0}, every=0.3))

    def test_transactions_that_were_open_then_are_counted(self):
        self.insert(90)
        self.assertEqual(ask(self.source, 'open', 0), {'open': 0})
        session = self.source.session('START TRANSACTION; UPDATE wiki.t SET a = 91 WHERE a = 90', 'wiki')
        try:
            self.assertTrue(wait(lambda: ask(self.source, 'open', 1) == {'open': 1}, every=0.2))
            time.sleep(0.2)  # read more than ten times a second the list would be old
            self.assertEqual(ask(self.source, 'open', 3600), {'open': 0})
        finally:
            session.close()
        self.assertTrue(wait(lambda: ask(self.source, 'open', 0) == {'open': 0}, every=0.2))

    def test_list_of_transactions_that_is_old_is_not_believed(self):
        """InnoDB makes its list anew only when nobody has read it for 0.1 s: somebody who reads it all the time keeps it old."""
        self.insert(92)
        reader = subprocess.Popen(self.source.client('--unbuffered', 'wiki'), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        keep = threading.Event()

        def read():
            while not keep.wait(0.02):
                reader.stdin.write('SELECT * FROM information_schema.innodb_trx;\n')
                reader.stdin.flush()
            reader.stdin.close()

        thread = threading.Thread(target=read)
        thread.start()
        try:
            time.sleep(0.3)
            session = self.source.session('START TRANSACTION; UPDATE wiki.t SET a = 93 WHERE a = 92', 'wiki')
            try:
                said = ask(self.source, 'open', 0)
                self.assertEqual(said.get('kind'), 'busy', said)
                self.assertIn('old list of transactions', said['msg'])
            finally:
                session.close()
        finally:
            keep.set()
            thread.join()
            reader.wait(60)
        self.assertTrue(wait(lambda: ask(self.source, 'open', 0) == {'open': 0}, every=0.2))

    def test_right_that_is_missing_is_named(self):
        since = json.dumps(ask(self.source, 'position'))
        for question, more, right in (('position', '', 'BINLOG MONITOR'), ('replica', '', 'REPLICA MONITOR'), ('open', '0', 'PROCESS'),
                                      ('writers', 'null', 'PROCESS'), ('written', since, 'BINLOG MONITOR')):
            said = ask(self.source, question, more, user='nobody')
            self.assertIn('denied', said['kind'].lower(), said)
            self.assertIn(right, said['msg'])
        self.follow()
        self.copy.sql("SET sql_log_bin=0; GRANT REPLICA MONITOR ON *.* TO nobody@'%'")
        said = ask(self.copy, 'detach', user='nobody')
        self.assertIn('to stop replication', said['msg'])
        self.assertTrue(ask(self.copy, 'replica')['applies'])


if __name__ == '__main__':
    unittest.main()
