"""The image's settings under PHP, with the environment that the templates give."""
import json
import os
import re
import subprocess

from resolve import HERE, TEMPLATES

SETTINGS = os.path.join(TEMPLATES, 'image/LocalSettings.php')


def environment(stack, container=0, task='TaskDefinition'):
    c = stack.resolved['Resources'][task]['Properties']['ContainerDefinitions'][container]
    return {**{e['Name']: str(e['Value']) for e in c['Environment']}, **{s['Name']: 'secret-of-' + s['Name'].lower() for s in c['Secrets']}}


def read(env, **more):
    run = subprocess.run(['php', os.path.join(HERE, 'settings.php'), SETTINGS], env={'PATH': os.environ['PATH'], **env, **more}, capture_output=True,
                         text=True, check=True)
    return json.loads(run.stdout)


def differ(what, have, want):
    return [] if have == want else ['%s is %r, not %r' % (what, have, want)]


def shared_by_both(blue, green):
    """What an editor who crosses over would lose, and what may differ: nothing here."""
    return [x for k in sorted(set(blue) | set(green)) for x in differ(k, green.get(k), blue.get(k))]


def databases(s, stack):
    writer, reader = s['wgDBservers']
    return (differ('writer', writer['host'], stack.parameters['DbWriterEndpoint'] + ':3306') +
            differ('reader', reader['host'], stack.parameters['DbReaderEndpoint'] + ':3306') +
            differ("reader's 'is static'", reader.get('is static'), True) + differ("writer's 'is static'", writer.get('is static'), None) +
            differ('loads', [writer['load'], reader['load']], [0, 1]) + differ('tls', [writer['ssl'], reader['ssl'], writer['sslCAFile']], [True, True, '/etc/ssl/certs/rds.pem']) +
            differ('user', writer['user'], 'secret-of-mw_db_user'))


def caches(s, stack):
    servers = stack.parameters['CacheEndpoint'].split(',')
    if stack.parameters['CacheEngine'] == 'valkey':
        return differ('valkey', s['wgObjectCaches']['valkey']['servers'], ['tls://' + x for x in servers]) + differ('sessions', s['wgSessionCacheType'], 'valkey')
    return differ('memcached', s['wgMemCachedServers'], servers) + differ('sessions', s['wgSessionCacheType'], 2)


def uploads(s, stack):
    if stack.parameters.get('UploadStore') == 's3':
        return (differ('extension', 'extension AWS' in s['loaded'], True) + differ('bucket', s['wgAWSBucketName'], stack.parameters['UploadBucket']) +
                differ('folder', s['wgAWSBucketTopSubdirectory'], '/images') + differ('domain', s['wgAWSBucketDomain'], stack.parameters['UploadDomain']))
    return differ('uploads', s['wgUploadDirectory'], '/var/www/html/images') + differ('extension', 'extension AWS' in s['loaded'], False)


def lock_is_shared(s, stack):
    """The lock lies on a mount of the shared file system, in every task."""
    task = stack.resolved['Resources']['TaskDefinition']['Properties']
    folder = os.path.dirname(s['wgReadOnlyFile'])
    mounts = {m['ContainerPath']: m['SourceVolume'] for m in task['ContainerDefinitions'][0]['MountPoints']}
    volumes = {v['Name']: v for v in task['Volumes']}
    return differ('mount of the lock', 'EFSVolumeConfiguration' in volumes.get(mounts.get(folder), {}), True)


def checks(stacks):
    """(what, what is wrong) of each."""
    colours = [s for s in stacks if s.template == '50-colour.yaml']
    for stack in colours:
        s = read(environment(stack))
        yield 'settings of %s %s' % (stack.scenario, stack.name), (
            databases(s, stack) + caches(s, stack) + uploads(s, stack) + lock_is_shared(s, stack) +
            differ('server', s['wgServer'], 'https://wiki.example.org') + differ('key', s['wgSecretKey'], 'secret-of-mw_secret_key'))
    by = {(s.scenario, s.name.rsplit('-', 1)[1]): s for s in colours}
    for scenario in ('prod', 'hosts', 'staging'):
        yield 'both colours of %s have the same settings' % scenario, shared_by_both(*(read(environment(by[scenario, c])) for c in ('blue', 'green')))
    whole = environment(by['prod', 'blue'])
    for name in ('MW_DB_WRITER', 'MW_DB_READER', 'MW_DB_PASSWORD', 'MW_SECRET_KEY', 'MW_CACHE', 'MW_HOST', 'MW_UPLOAD_BUCKET'):
        less = {k: v for k, v in whole.items() if k != name}
        yield 'without %s nothing is guessed' % name, differ('answer', read(less).get('refused'), 'The environment lacks %s.' % name)
    yield 'an image can be built without secrets', differ('answer', read({'MW_BUILD': '1'}).get('refused'), None)
    hosts = environment(by['hosts', 'blue'])
    yield 'the reader is who asked the load balancer', differ('reader', read(hosts, TEST_CHAIN='198.51.100.1, 203.0.113.5')['reader'], '203.0.113.5')
    yield 'with CloudFront, who asked CloudFront', differ('reader', read(whole, TEST_CHAIN='10.0.0.1, 198.51.100.1, 203.0.113.5')['reader'], '198.51.100.1')
    yield 'an address that is none changes nothing', differ('reader', read(hosts, TEST_CHAIN='<script>')['reader'], '10.20.0.9')
    setup = next(s for s in stacks if s.template == '55-setup.yaml')
    with open(os.path.join(TEMPLATES, 'image/setup.php'), encoding='utf-8') as f:
        needed = set(re.findall(r"(?:need|secret_file)\( '(\w+)' \)", f.read()))
    yield 'the setup task has all it needs', differ('missing', sorted(needed - set(environment(setup, task='SetupTaskDefinition'))), [])
    for file in ('LocalSettings.php', 'setup.php', 'healthz.php'):
        run = subprocess.run(['php', '-l', os.path.join(TEMPLATES, 'image', file)], capture_output=True, text=True, check=False)
        yield '%s is PHP' % file, [run.stdout] if run.returncode else []
    answer = subprocess.run(['php', os.path.join(TEMPLATES, 'image/healthz.php')], capture_output=True, text=True, check=False)
    yield 'healthz answers', differ('answer', (answer.returncode, answer.stdout), (0, 'ok\n'))
