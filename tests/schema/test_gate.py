"""The schema gate against real wikis: what it expects is what installers make, and
what it stops is what breaks.

SCHEMA_LONG=1 asks a wiki after each of the statements of an upgrade, also each
on its own (make soak); without it, only where the gate's answer changes.
"""
import json
import os
import re
import subprocess
import unittest

import probes
import wikis
from wikis import TOP, Failed

LAB = os.path.join(TOP, 'build', 'lab')
LONG = bool(os.environ.get('SCHEMA_LONG'))
BINLOG = 'log-bin=binlog\nserver-id=1\nbinlog-format=ROW\n'
OLD, NEW = '1.39', '1.43'
lab = None
trees = {}   # branch: tree
want = {}    # branch: what the gate takes as its expectation


def name(branch):
    return 'mw' + branch.replace('.', '')


def setUpModule():
    global lab
    subprocess.run([os.path.join(wikis.HERE, 'releases'), LAB], check=True, stdin=subprocess.DEVNULL)
    lab = wikis.Lab(BINLOG)
    unittest.addModuleCleanup(lab.close)
    trees.update(wikis.releases(LAB))
    if OLD not in trees or NEW not in trees:
        raise Failed(f'MediaWiki {OLD} and {NEW} could not be had: {sorted(trees)}')
    for branch, tree in trees.items():
        lab.install(tree, name(branch))
        lab.copy(name(branch), name(branch) + 'fresh')
        site = lab.serve(tree, name(branch))
        probes.seed(site)
        lab.php(tree, name(branch), 'runJobs')
        site.stop()
        # before 1.39 there is no whole description in JSON: a fresh installation is the expectation
        want[branch] = tree if branch >= OLD else lab.snapshot(name(branch) + 'fresh')
    print('MediaWiki', ', '.join(os.path.basename(t)[3:] for t in trees.values()))


def blocking(doc):
    """Of `schema diff`: what stops the first one's code on the second one's tables."""
    return [r for r in doc['rows'] if r['effect_a'] not in ('harmless', 'slow')]


def told(rows):
    return [f'{r["table"]}.{r["name"]} {r["what"]}: {r["a"]} -> {r["b"]} ({r["effect_a"]})' for r in rows]


def fails(site, one=True):
    """The probes that fail; the first is enough."""
    for probe in probes.PROBES:
        wrong = probes.ask(site, [probe])
        if wrong and one:
            return wrong
    return {} if one else probes.ask(site)


class Expectation(unittest.TestCase):
    """A fresh installation is what its own files say."""

    def same(self, expected, snapshot):
        doc = lab.differences(expected, snapshot)
        self.assertEqual(doc['rows'], [], told(doc['rows']))

    def test_fresh_installations_have_no_difference(self):
        done = 0
        for branch, tree in trees.items():
            if branch >= OLD:
                self.same(tree, lab.snapshot(name(branch) + 'fresh'))
                done += 1
        self.assertGreaterEqual(done, 2)

    def test_shipped_manifests_are_those_of_the_releases(self):
        for branch in (OLD, NEW):
            with self.subTest(branch):
                self.same(os.path.join(TOP, 'plans', 'schemas', f'mediawiki-{branch}.json'), lab.snapshot(name(branch) + 'fresh'))

    def test_the_part_of_1_35_that_is_described_in_json(self):
        if '1.35' not in trees:
            self.skipTest('no MediaWiki 1.35 could be had')
        described = os.path.join(trees['1.35'], 'maintenance', 'tables.json')
        rows = [r for r in lab.differences(described, lab.snapshot('mw135fresh'))['rows'] if r['a']]
        self.assertEqual(rows, [], told(rows))

    def test_a_tree_whose_tables_are_in_sql_says_what_to_do(self):
        if '1.35' not in trees:
            self.skipTest('no MediaWiki 1.35 could be had')
        with self.assertRaisesRegex(Failed, 'schema snapshot'):
            lab.cutover('expect', trees['1.35'])

    def test_a_table_prefix(self):
        lab.install(trees[NEW], 'mwprefix', prefix='a1_')
        self.same(trees[NEW], lab.snapshot('mwprefix', prefix='a1_'))

    def test_extensions_that_describe_their_tables(self):
        names = [n for n in ('AbuseFilter', 'DiscussionTools', 'Echo', 'Linter', 'LoginNotify', 'OATHAuth')
                 if os.path.isdir(os.path.join(trees[NEW], 'extensions', n))]
        self.assertTrue(names)
        lab.copy(name(NEW) + 'fresh', 'mwext')
        settings = os.path.join(lab.tree(trees[NEW]), 'LocalSettings.php')
        with open(settings) as f:
            plain = f.read()
        try:
            with open(settings, 'w') as f:
                f.write(plain + ''.join(f"wfLoadExtension( '{n}' );\n" for n in [*names, 'VisualEditor']))  # DiscussionTools wants it
            self.assertEqual(lab.update(trees[NEW], 'mwext'), 0)
        finally:
            with open(settings, 'w') as f:
                f.write(plain)
        out = lab.cutover('diff', '--extensions', ','.join(names), trees[NEW], lab.snapshot('mwext'), '-o', 'json', ok=(0, 5))
        # a table that an extension makes only with some setting is not there; what is there is as described
        rows = [r for r in json.loads(out)['rows'] if r['what'] != 'table' and r['a']]
        self.assertEqual(rows, [], told(rows))
        missing = [r['table'] for r in json.loads(out)['rows'] if r['what'] == 'table' and not r['b']]
        self.assertLessEqual(set(missing), {'echo_unread_wikis'}, missing)

    def test_upgraded_wikis_differ_only_in_what_is_known_to_be_harmless(self):
        for old, new in upgrades():
            with self.subTest(f'{old} to {new}'):
                rows = lab.differences(trees[new], lab.snapshot(upgraded(old, new)))['rows']
                self.assertEqual([r for r in rows if r['effect_a'] != 'harmless'], [], told(rows))
                self.assertLessEqual(len(rows), 2, told(rows))


made = {}


def upgrades():
    return [(a, b) for a in trees for b in trees if a < b and b >= OLD]


def upgraded(old, new):
    if (old, new) not in made:
        database = f'{name(old)}to{name(new)[2:]}'
        lab.copy(name(old), database)
        made[old, new] = (database, lab.update(trees[new], database))
    database, status = made[old, new]
    if status:
        raise Failed(f'update.php of {new} failed on {old}')
    return database


class Mutations(unittest.TestCase):
    """Changes made to a real wiki's tables: it feels what the gate stops, and nothing of what it lets pass."""

    def test_each_change(self):
        lab.copy(name(NEW), 'mwchanged')
        site = lab.serve(trees[NEW], 'mwchanged')
        chosen = CHANGES if LONG else CHANGES[::4]
        for statement in chosen:
            with self.subTest(statement):
                lab.db.sql("SET sql_mode = '';" + statement, 'mwchanged')
                stops = blocking(lab.differences(trees[NEW], lab.snapshot('mwchanged')))
                site.forget()
                wrong = fails(site)
                self.assertEqual(bool(stops), bool(wrong), f'the gate: {told(stops)}; the wiki: {wrong}')
            lab.copy(name(NEW), 'mwchanged')
        site.stop()
        print(f'{len(chosen)} changes made for real')


# Stopped and let pass in turns, so that every n-th has both; what only a strict session, two writers at
# once or very large numbers would feel is in test_schema_diff.c.
CHANGES = [
    'DROP TABLE linktarget',
    'DROP INDEX page_len ON page',
    'ALTER TABLE page DROP page_is_new',
    'ALTER TABLE page ADD page_extra INT NULL',
    'DROP INDEX rev_page_timestamp ON revision',
    "ALTER TABLE page ADD page_extra VARBINARY(20) NOT NULL DEFAULT 'x'",
    'ALTER TABLE revision RENAME INDEX rev_page_timestamp TO page_timestamp',
    'ALTER TABLE page RENAME INDEX page_len TO len',
    'RENAME TABLE site_stats TO statistics',
    'ALTER TABLE page MODIFY page_len BIGINT UNSIGNED NOT NULL',
    'ALTER TABLE user DROP user_is_temp',
    'ALTER TABLE page MODIFY page_title VARBINARY(512) NOT NULL',
    'DROP INDEX cl_sortkey ON categorylinks',
    'ALTER TABLE revision MODIFY rev_comment_id BIGINT UNSIGNED NOT NULL DEFAULT 0',
    'ALTER TABLE externallinks DROP el_to_path',
    'CREATE TABLE flow_revision (id INT PRIMARY KEY)',
    'ALTER TABLE logging CHANGE log_params log_data BLOB NOT NULL',
    'ALTER TABLE page MODIFY page_lang VARBINARY(35) NULL FIRST',
    'ALTER TABLE logging MODIFY log_id INT UNSIGNED NOT NULL',
    'ALTER TABLE searchindex MODIFY si_text LONGTEXT NOT NULL',
    'DROP INDEX page_name_title ON page',
    'CREATE INDEX by_lang ON page (page_lang)',
    'DROP INDEX si_text ON searchindex',
    'DROP INDEX rc_ip ON recentchanges',
    'ALTER TABLE recentchanges DROP rc_logid',
    'DROP INDEX page_random ON page',
    'DROP TABLE block_target',
    'ALTER TABLE page ENGINE=MyISAM',
    'ALTER TABLE content MODIFY content_sha1 VARBINARY(4) NOT NULL',
    'ALTER TABLE job MODIFY job_params LONGBLOB NOT NULL',
    'ALTER TABLE page MODIFY page_title VARBINARY(3) NOT NULL',
    'ALTER TABLE page MODIFY page_touched VARBINARY(14) NOT NULL',
    'ALTER TABLE user MODIFY user_name VARBINARY(3) NOT NULL',
    'ALTER TABLE user MODIFY user_touched VARBINARY(20) NOT NULL',
]


class NamedIndexes(unittest.TestCase):
    """A query that names an index which is not there is refused: the gate knows all that are named."""

    def test_every_index_that_code_names_is_one_the_gate_stops_for(self):
        seen = 0
        for branch, tree in trees.items():
            with open(lab.manifest(branch, want[branch])) as f:
                doc = json.load(f)
            for table, index in named_indexes(tree, doc['tables']):
                seen += 1
                with self.subTest(release=branch, table=table, index=index):
                    kept = doc['tables'][table]['indexes'].pop(index)
                    stops = blocking(lab.differences(lab.manifest(branch, want[branch]), lab.write('dropped', doc)))
                    doc['tables'][table]['indexes'][index] = kept
                    self.assertTrue(stops, f'{table}.{index} is named in the code of {branch}')
        print(f'{seen} names of indexes in the code of {len(trees)} releases, each known')
        self.assertGreater(seen, 30)


def named_indexes(tree, tables):
    """(table, index) of USE INDEX and useIndex() in a release's code, where the index is one of its own."""
    found = set()
    php = subprocess.run(['grep', '-rhE', '--include=*.php', r"'USE INDEX'|useIndex\(", os.path.join(tree, 'includes'), os.path.join(tree, 'extensions')],
                         capture_output=True, text=True, errors='replace').stdout
    for line in php.splitlines():
        pairs = re.findall(r"'(\w+)'\s*(?:=>|\]\s*=)\s*'(\w+)'", line)
        found |= {(t, i) for t, i in pairs if i in tables.get(t, {}).get('indexes', ())}
        for word in re.findall(r"'(\w+)'", line):
            homes = [t for t in tables if word in tables[t]['indexes'] and word != 'PRIMARY']
            if len(homes) == 1:
                found.add((homes[0], word))
    return sorted(found)


class OnMySQL(unittest.TestCase):
    """The same expectation, another server: what Aurora descends from."""

    def test_fresh_installations_and_an_upgrade(self):
        mysqld = os.path.join(TOP, 'build', 'schema', 'mysql', 'mysqld')
        if LONG or os.environ.get('SCHEMA_MYSQL'):
            done = subprocess.run([os.path.join(wikis.HERE, 'mysql'), os.path.join(TOP, 'build', 'schema')], capture_output=True, text=True)
            if done.returncode:
                self.skipTest('no MySQL server: ' + (done.stdout.strip() or done.stderr.strip()))
        elif not os.path.exists(mysqld):
            self.skipTest('no MySQL server yet: make soak, or SCHEMA_MYSQL=1 tests/parts/schema, fetches one (60 MB)')
        other = wikis.Lab(mysqld=mysqld)
        self.addCleanup(other.close)
        print('MySQL', other.db.sql('SELECT @@version')[0][0])
        for branch in (OLD, NEW):
            other.install(trees[branch], name(branch))
            rows = other.differences(trees[branch], other.snapshot(name(branch)))['rows']
            self.assertEqual(rows, [], told(rows))
        self.assertEqual(other.update(trees[NEW], name(OLD)), 0)
        rows = other.differences(trees[NEW], other.snapshot(name(OLD)))['rows']
        self.assertEqual([(r['table'], r['name'], r['effect_a']) for r in rows], [('searchindex', 'si_text', 'harmless')], told(rows))


class Matrix(unittest.TestCase):
    """Every release's code on every release's tables: what the gate says is what happens."""

    def test_every_cell(self):
        cells = [name(b) for b in trees] + [upgraded(a, b) for a, b in upgrades()]
        told_of = {True: 0, False: 0}
        for database in cells:
            for branch in trees:
                with self.subTest(code=branch, tables=database):
                    told_of[self.cell(branch, database)] += 1
        print(f'{sum(told_of.values())} cells: {told_of[True]} work, {told_of[False]} do not; the gate said so of each')
        self.assertGreaterEqual(sum(told_of.values()), len(trees) ** 2)

    def cell(self, branch, database):
        lab.copy(database, 'mwcell')
        stops = blocking(lab.differences(want[branch], lab.snapshot('mwcell')))
        site = lab.serve(trees[branch], 'mwcell')
        wrong = fails(site)
        site.stop()
        self.assertEqual(bool(stops), bool(wrong), f'the gate: {told(stops[:3])}; the wiki: {wrong}')
        return not wrong

    def test_two_patch_releases_share_a_database(self):
        with open(os.path.join(LAB, 'versions')) as f:
            blue, green = (os.path.join(LAB, 'mw-' + v) for v in f.read().split())
        if blue == green:
            self.skipTest('only one release of the newest branch could be had')
        lab.install(blue, 'mwpair')
        doc = lab.differences(blue, green)
        self.assertEqual((doc['verdict'], doc['rows']), ('shared', []))
        self.assertEqual(lab.differences(green, lab.snapshot('mwpair'))['rows'], [])
        for i, tree in enumerate((blue, green)):
            site = lab.serve(tree, 'mwpair')
            if not i:
                probes.seed(site)
                lab.php(blue, 'mwpair', 'runJobs')
            self.assertEqual(fails(site), {})
            site.stop()

    def test_tables_without_their_rows_are_seen_by_the_data_checks(self):
        """1.39's tables brought to 1.43's form without moving a row: no schema tells, and histories are empty."""
        lab.copy(name(OLD), 'mwhollow')
        for statement in statements():
            apply(statement, 'mwhollow')
        self.assertEqual(blocking(lab.differences(trees[NEW], lab.snapshot('mwhollow'))), [])
        manifest = os.path.join(TOP, 'plans', 'schemas', f'mediawiki-{NEW}.json')
        docs = [d for d in lab.gate(manifest, 'mwhollow') if d.get('database') == 'mwhollow']
        self.assertIn('revisions-without-comment', json.dumps(docs))
        self.assertEqual(data_worst(docs[0]), 'silent data loss')
        site = lab.serve(trees[NEW], 'mwhollow')
        self.assertTrue(probes.ask(site, [probes.revisions]))
        site.stop()


def data_worst(doc):
    """The worst effect that the data checks name, anywhere in the document."""
    found = re.findall(r'"check": "[a-z-]+", "count": (\d+|null), "effect": "([a-z ]+)"', json.dumps(doc))
    return 'silent data loss' if any(f == 'silent data loss' for _, f in found) else 'harmless'


# Rows that a statement wants in place; in an upgrade MigrateLinksTable has been there before it.
MOVE_LINKS = """INSERT IGNORE INTO linktarget (lt_namespace, lt_title) SELECT DISTINCT pl_namespace, pl_title FROM pagelinks;
UPDATE pagelinks JOIN linktarget ON lt_namespace = pl_namespace AND lt_title = pl_title SET pl_target_id = lt_id"""


def apply(statement, database):
    if re.search(r'DROP +pl_namespace', statement):
        lab.db.sql(MOVE_LINKS, database)
    lab.db.sql("SET sql_mode = '';" + statement, database)  # as MediaWiki's own sessions have it


ddl = []


def statements():
    """What update.php of the new release does to the old one's tables, from the binary log."""
    if not ddl:
        lab.copy(name(OLD), 'mwddl')
        lab.db.sql('RESET MASTER')
        if lab.update(trees[NEW], 'mwddl'):
            raise Failed('update.php failed')
        for row in lab.db.sql('SHOW BINLOG EVENTS'):
            text = re.sub(r'\\n|\\t', ' ', row[5])
            text = re.sub(r'/\*.*?\*/', '', text, flags=re.S).strip()
            if row[2] == 'Query' and re.match(r'use `mwddl`; *(ALTER|CREATE|DROP|RENAME|TRUNCATE)\b', text):
                ddl.append(text.split(';', 1)[1].strip())
    return ddl


# Harm that one client alone does not see: each with the reason why the gate is right.
UNSEEN = {
    'user_autocreate_serial': 'is written only where $wgAutoCreateTempUser is on',
    'pagelinks': 'without its primary key it gets doubles only when two edits write at once',
}


class Upgrade(unittest.TestCase):
    """The statements of an upgrade one by one, and the old release at work beside it."""

    def test_after_each_statement_the_gate_says_what_the_old_release_feels(self):
        steps = statements()
        self.assertGreater(len(steps), 50)
        lab.copy(name(OLD), 'mwstep')
        site = lab.serve(trees[OLD], 'mwstep')
        self.assertEqual(fails(site, one=False), {})
        asked, before = 0, None
        for i, statement in enumerate(steps):
            apply(statement, 'mwstep')
            stops = blocking(lab.differences(trees[OLD], lab.snapshot('mwstep')))
            now = sorted(told(stops))
            if LONG or now != before or i % 20 == 19 or i == len(steps) - 1:
                wrong, asked = fails(site), asked + 1
                self.agree(i, statement, stops, wrong)
            before = now
        site.stop()
        print(f'{len(steps)} statements, the wiki asked after {asked} of them: the gate and 1.39 agreed')

    def agree(self, i, statement, stops, wrong):
        if wrong:
            self.assertTrue(stops, f'statement {i}, {statement}: missed: {wrong}')
        elif stops:
            self.fail(f'statement {i}, {statement}: stopped for nothing: {told(stops)}')

    def test_each_statement_alone(self):
        """On tables that are whole otherwise. Short: those that the gate stops; what it lets pass is asked above."""
        site = lab.serve(trees[OLD], 'mwalone')
        lab.copy(name(OLD), 'mwalone')
        stopped = passed = impossible = 0
        for i, statement in enumerate(statements()):
            try:
                apply(statement, 'mwalone')
            except RuntimeError:
                impossible += 1  # it needs one of those before it
                continue
            stops = blocking(lab.differences(trees[OLD], lab.snapshot('mwalone')))
            stopped += bool(stops)
            if stops or LONG:
                passed += not stops
                site.forget()
                with self.subTest(statement):
                    self.alone(i, statement, stops, fails(site))
                lab.copy(name(OLD), 'mwalone')
            else:
                restore(statement, 'mwalone')
        site.stop()
        print(f'{stopped} statements stopped, {passed} let pass and asked, {impossible} cannot be made alone')
        self.assertGreater(stopped, 5)

    def alone(self, i, statement, stops, wrong):
        wrong = wrong or doubles(stops, 'mwalone')
        if wrong or not all(r['table'] in UNSEEN for r in stops):
            self.agree(i, statement, stops, wrong)


def restore(statement, database):
    """The one table that it was about, as it was."""
    table = re.search(r'(?:TABLE|ON) +`(\w+)`', statement)[1]
    lab.db.sql(f'DROP TABLE IF EXISTS {table}', database)
    if lab.db.sql(f"SHOW TABLES LIKE '{table}'", name(OLD)):
        lab.db.sql(f'CREATE TABLE {table} LIKE {name(OLD)}.{table}; INSERT INTO {table} SELECT * FROM {name(OLD)}.{table}', database)


def doubles(stops, database):
    """Rows that a unique index would not have let in twice."""
    found = {}
    for row in stops:
        if row['what'] != 'index' or not (row['a'] or '').startswith('unique ('):
            continue
        columns = re.sub(r'\(\d+\)', '', row['a'][len('unique ('):-1])
        n = lab.db.sql(f'SELECT COUNT(*) FROM (SELECT {columns} FROM `{row["table"]}` GROUP BY {columns} HAVING COUNT(*) > 1) x', database)
        if int(n[0][0]):
            found[row['table']] = f'{n[0][0]} doubles of {columns}'
    return found
