"""The tables of a manifest (plans/schemas, `cutover schema expect`) as CREATE TABLE statements."""
import json
import os

SCHEMAS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), 'plans', 'schemas')


def manifest(version):
    return os.path.join(SCHEMAS, f'mediawiki-{version}.json')


def quoted(names):
    """"a,b(20)" with the names quoted."""
    return ', '.join('`{}`{}'.format(*(n.split('(')[0], '(' + n.split('(')[1] if '(' in n else '')) for n in names.split(','))


def column(name, c):
    nullable = c.get('null', False)
    text = f"`{name}` {c['type']} {'NULL' if nullable else 'NOT NULL'}"
    if c.get('auto'):
        text += ' AUTO_INCREMENT'
    if 'default' in c:
        text += " DEFAULT '" + c['default'].replace("'", "''") + "'"
    return text


def index(name, i):
    if name == 'PRIMARY':
        return f"PRIMARY KEY ({quoted(i['columns'])})"
    kind = 'UNIQUE ' if i.get('unique') else 'FULLTEXT ' if i.get('fulltext') else ''
    return f"{kind}KEY `{name}` ({quoted(i['columns'])})"


def statements(version, prefix=''):
    with open(manifest(version), encoding='utf-8') as f:
        tables = json.load(f)['tables']
    for name, t in tables.items():
        parts = [column(n, c) for n, c in t['columns'].items()] + [index(n, i) for n, i in t['indexes'].items()]
        yield (f"CREATE TABLE `{prefix}{name}` ({', '.join(parts)}) ENGINE={t.get('engine', 'InnoDB')} "
               f"DEFAULT CHARSET={t.get('charset', 'binary')};\n")


def script(version, prefix=''):
    return "SET sql_mode='';\n" + ''.join(statements(version, prefix)) + f'INSERT INTO `{prefix}site_stats` (ss_row_id) VALUES (1);\n'
