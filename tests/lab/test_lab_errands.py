"""One-off tasks really run, are found again, and end as ECS would tell it."""
import os
import shutil
import tempfile
import time
import unittest

from ecs import Ecs
from errands import Errands
from labtest import ApiTest
from procs import Procs


class Wiki:
    def __init__(self, folder):
        self.folder = folder

    def tree(self, version):
        return self.folder if version == '1.43.11' else None

    def environment(self, cache):
        return {'LAB_CACHEDIR': cache, 'WHO': 'image'}


class OneOff(ApiTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_dir = tempfile.mkdtemp()
        cls.procs = Procs(os.path.join(cls.run_dir, 'log'))
        cls.errands = Errands(Ecs(cls.procs, cls.run_dir, Wiki(cls.run_dir), cls.health))
        cls.errands.install(cls.api)
        cls.errands.start()
        ecs = cls.client('ecs')
        ecs.create_cluster(clusterName='c')
        cls.secret = cls.client('secretsmanager').create_secret(Name='s', SecretString='{"password": "hidden"}')['ARN']
        box = {'name': 'wiki', 'image': 'mediawiki:1.43.11', 'memory': 128, 'environment': [{'name': 'WHO', 'value': 'task'}],
               'secrets': [{'name': 'WORD', 'valueFrom': cls.secret + ':password::'}]}
        ecs.register_task_definition(family='plain', containerDefinitions=[box])
        ecs.register_task_definition(family='none', containerDefinitions=[{**box, 'image': 'mediawiki:1.0.0'}])
        ecs.register_task_definition(family='fargate', containerDefinitions=[box], networkMode='awsvpc', cpu='256', memory='512',
                                     requiresCompatibilities=['FARGATE'])

    @classmethod
    def tearDownClass(cls):
        cls.errands.end()
        cls.procs.stop_all()
        shutil.rmtree(cls.run_dir)
        super().tearDownClass()

    def begin(self, script, definition='plain', container='wiki', **more):
        return self.client('ecs').run_task(cluster='c', taskDefinition=definition, overrides={'containerOverrides': [
            {'name': container, 'command': ['/bin/sh', '-c', script]}]}, **more)['tasks'][0]

    def look(self, task):
        return self.client('ecs').describe_tasks(cluster='c', tasks=[task['taskArn']])['tasks'][0]

    def until(self, task, status):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            told = self.look(task)
            if told['lastStatus'] == status:
                return told
            time.sleep(0.02)
        self.fail(f"the task is {told['lastStatus']}, not {status}")

    def test_it_runs_with_environment_and_secret_in_its_tree(self):
        self.begin_and_end('echo "$WHO $WORD" > out', 0)
        with open(os.path.join(self.run_dir, 'out')) as f:
            self.assertEqual(f.read(), 'task hidden\n')

    def begin_and_end(self, script, code):
        task = self.begin(script)
        self.assertEqual((task['lastStatus'], 'exitCode' in task['containers'][0]), ('PROVISIONING', False))
        told = self.until(task, 'STOPPED')
        self.assertEqual((told['containers'][0]['exitCode'], told['stopCode']), (code, 'EssentialContainerExited'))
        self.assertGreaterEqual(told['stoppedAt'], told['startedAt'])

    def test_its_exit_code_is_told(self):
        self.begin_and_end('exit 7', 7)

    def test_a_killed_one_has_the_code_of_the_signal(self):
        self.begin_and_end('kill -9 $$', 137)

    def test_the_same_token_gives_the_same_task(self):
        first = self.begin('echo once >> twice', clientToken='t')
        self.assertEqual(self.begin('echo once >> twice', clientToken='t')['taskArn'], first['taskArn'])
        self.until(first, 'STOPPED')
        with open(os.path.join(self.run_dir, 'twice')) as f:
            self.assertEqual(f.read(), 'once\n')
        self.refused('ConflictException', self.begin, script='echo other', clientToken='t')

    def test_it_is_found_by_who_started_it(self):
        find = lambda status: self.client('ecs').list_tasks(cluster='c', startedBy='me', desiredStatus=status)['taskArns']
        task = self.begin('exec sleep 60', startedBy='me')
        self.until(task, 'RUNNING')
        self.assertEqual((find('RUNNING'), find('STOPPED')), ([task['taskArn']], []))
        self.client('ecs').stop_task(cluster='c', task=task['taskArn'], reason='enough')
        told = self.until(task, 'STOPPED')
        self.assertEqual((told['stopCode'], told['stoppedReason'], told['containers'][0]['exitCode']), ('UserInitiated', 'enough', 143))
        self.assertEqual((find('RUNNING'), find('STOPPED')), ([], [task['taskArn']]))

    def test_one_that_cannot_start_has_no_exit_code(self):
        told = self.until(self.begin('exit 0', definition='none'), 'STOPPED')
        self.assertEqual((told['stopCode'], 'exitCode' in told['containers'][0]), ('TaskFailedToStart', False))

    def test_what_ecs_refuses(self):
        self.refused('InvalidParameterException', self.begin, script='exit 0', container='other')
        self.refused('InvalidParameterException', self.begin, script='exit 0', definition='fargate')
        network = {'awsvpcConfiguration': {'subnets': ['subnet-1']}}
        self.refused('InvalidParameterException', self.begin, script='exit 0', networkConfiguration=network)
        self.refused('InvalidParameterException', self.begin, script='exit 0', launchType='FARGATE')
        self.refused('ClientException', self.begin, script='exit 0', definition='unknown')
        gone = self.client('ecs').describe_tasks(cluster='c', tasks=['arn:aws:ecs:eu-central-1:123456789012:task/c/none'])
        self.assertEqual((gone['tasks'], gone['failures'][0]['reason']), ([], 'MISSING'))


if __name__ == '__main__':
    unittest.main()
