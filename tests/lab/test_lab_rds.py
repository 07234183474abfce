"""Copies of databases are made as RDS makes them, and what it refuses is refused."""
import time
import unittest

from labtest import ApiTest
from rds import Rds


class Server:
    def __init__(self, log=True):
        self.port, self.log = 3306, log

    def sql(self, text):
        return [['1' if self.log else '0']]


class Copies(ApiTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.asked, cls.broken = [], False
        cls.rds = Rds(cls.copy)
        cls.rds.groups['writable'] = {'read_only': '0'}
        cls.rds.install(cls.api)
        cls.rds.add('wiki', Server()).status = 'available'
        cls.rds.add('silent', Server(log=False)).status = 'available'

    @classmethod
    def copy(cls, cluster, read_only):
        if cls.broken:
            raise RuntimeError('no room')
        cls.asked.append((cluster.id, read_only))
        return Server()

    def deploy(self, name, source='wiki', **more):
        return self.client('rds').create_blue_green_deployment(
            BlueGreenDeploymentName=name, Source=f'arn:aws:rds:eu-central-1:123456789012:cluster:{source}', **more)['BlueGreenDeployment']

    def find(self, name):
        return self.client('rds').describe_blue_green_deployments(
            Filters=[{'Name': 'blue-green-deployment-name', 'Values': [name]}])['BlueGreenDeployments']

    def until_made(self, name):
        end = time.monotonic() + 60
        while self.find(name)[0]['Status'] == 'PROVISIONING' and time.monotonic() < end:
            time.sleep(0.02)
        return self.find(name)[0]

    def test_a_copy_takes_its_time_and_has_an_endpoint(self):
        made = self.deploy('one', TargetDBClusterParameterGroupName='writable', Tags=[{'Key': 'k', 'Value': 'v'}])
        self.assertEqual((made['Status'], 'Target' in made), ('PROVISIONING', False))
        target = self.until_made('one')['Target']
        cluster = self.client('rds').describe_db_clusters(DBClusterIdentifier=target)['DBClusters'][0]
        self.assertEqual((cluster['Status'], cluster['Endpoint'], cluster['Port'], cluster['TagList']),
                         ('available', '127.0.0.1', 3306, [{'Key': 'k', 'Value': 'v'}]))
        self.assertTrue(cluster['ReplicationSourceIdentifier'].endswith(':cluster:wiki'))
        self.assertIn(('wiki', False), self.asked)
        self.refused('BlueGreenDeploymentAlreadyExistsFault', self.deploy, name='one')

    def test_a_copy_is_read_only_unless_its_group_says_otherwise(self):
        self.deploy('two')
        self.until_made('two')
        self.assertEqual(self.asked[-1], ('wiki', True))

    def test_a_copy_that_cannot_be_made_says_why(self):
        type(self).broken = True
        self.addCleanup(setattr, type(self), 'broken', False)
        self.deploy('three')
        made = self.until_made('three')
        self.assertEqual((made['Status'], made['StatusDetails']), ('PROVISIONING_FAILED', 'no room'))

    def test_what_rds_refuses(self):
        self.refused('SourceClusterNotSupportedFault', self.deploy, name='four', source='silent')
        self.refused('DBClusterNotFoundFault', self.deploy, name='four', source='other')
        self.refused('DBClusterParameterGroupNotFound', self.deploy, name='four', TargetDBClusterParameterGroupName='none')
        self.refused('ValidationError', self.deploy, name='4-four')  # by the service's model
        self.assertEqual(self.find('four'), [])
        self.refused('DBClusterNotFoundFault', self.client('rds').describe_db_clusters, DBClusterIdentifier='other')
        self.refused('BlueGreenDeploymentNotFoundFault', self.client('rds').describe_blue_green_deployments,
                     BlueGreenDeploymentIdentifier='bgd-none')


if __name__ == '__main__':
    unittest.main()
