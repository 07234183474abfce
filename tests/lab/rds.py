"""RDS: a cluster that is a real MariaDB, and blue/green deployments whose copy is
another one that follows it by its binary log, over TLS.

docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/blue-green-deployments.html
"""
import datetime
import os
import threading
import time
import uuid

import mariadb
from aws_api import ACCOUNT, REGION
from errors import ApiError

MAKING_S = 1.5  # how long a copy takes at least; Aurora takes a quarter of an hour
ENGINE, VERSION = 'aurora-mysql', '8.0.mysql_aurora.3.08.0'


def arn(kind, name):
    return f'arn:aws:rds:{REGION}:{ACCOUNT}:{kind}:{name}'


class Cluster:
    def __init__(self, name, server, group, tags=(), follows=None):
        self.id, self.server, self.group, self.tags, self.follows = name, server, group, list(tags), follows
        self.arn, self.status, self.members = arn('cluster', name), 'creating', []

    def told(self):
        out = {'DBClusterIdentifier': self.id, 'DBClusterArn': self.arn, 'Status': self.status, 'Engine': ENGINE,
               'EngineVersion': VERSION, 'DBClusterParameterGroup': self.group, 'DBSubnetGroup': 'lab',
               'Port': self.server.port, 'VpcSecurityGroups': [{'VpcSecurityGroupId': 'sg-0lab', 'Status': 'active'}],
               'DBClusterMembers': [{'DBInstanceIdentifier': m, 'IsClusterWriter': i == 0, 'PromotionTier': 1,
                                     'DBClusterParameterGroupStatus': 'in-sync'} for i, m in enumerate(self.members)],
               'IAMDatabaseAuthenticationEnabled': False, 'DeletionProtection': True, 'TagList': self.tags}
        if self.status == 'available':
            out.update(Endpoint='127.0.0.1', ReaderEndpoint='127.0.0.1')
        if self.follows:
            out['ReplicationSourceIdentifier'] = self.follows
        return out


class Deployment:
    def __init__(self, params, source):
        self.id, self.name, self.params, self.source = 'bgd-' + uuid.uuid4().hex[:16], params['BlueGreenDeploymentName'], params, source
        self.status, self.details, self.target, self.created = 'PROVISIONING', '', None, datetime.datetime.now(datetime.timezone.utc)

    def told(self):
        out = {'BlueGreenDeploymentIdentifier': self.id, 'BlueGreenDeploymentName': self.name, 'Source': self.source.arn,
               'Status': self.status, 'CreateTime': self.created, 'TagList': self.params.get('Tags', []),
               'Tasks': [{'Name': n, 'Status': 'COMPLETED' if self.status == 'AVAILABLE' else 'IN_PROGRESS'}
                         for n in ('CREATING_READ_REPLICA_OF_SOURCE', 'CREATING_TOPOLOGY_OF_SOURCE')]}
        out.update({k: v for k, v in (('Target', self.target), ('StatusDetails', self.details)) if v})
        return out


class Rds:
    """groups: {cluster parameter group: {parameter: value}}; copy_of(cluster, read only) gives
    a MariaDB that follows that cluster's."""

    def __init__(self, copy_of):
        self.copy_of, self.clusters, self.deployments, self.lock = copy_of, {}, [], threading.RLock()
        self.groups = {'default.aurora-mysql8.0': {}}

    def add(self, name, server, group='default.aurora-mysql8.0', **more):
        cluster = Cluster(name, server, group, **more)
        cluster.members = [name + '-1']
        with self.lock:
            self.clusters[name] = cluster
        return cluster

    def find(self, name):
        with self.lock:
            found = next((c for c in self.clusters.values() if name in (c.id, c.arn)), None)
        if found is None:
            raise ApiError('DBClusterNotFoundFault', f'DBCluster {name} not found.', 404)
        return found

    def describe_clusters(self, call):
        name = call.params.get('DBClusterIdentifier')
        with self.lock:
            return {'DBClusters': [self.find(name).told()] if name else [c.told() for c in self.clusters.values()]}

    def describe_instances(self, call):
        name = call.params.get('DBInstanceIdentifier', '').split(':')[-1]
        with self.lock:
            for cluster in self.clusters.values():
                if name in cluster.members:
                    return {'DBInstances': [{
                        'DBInstanceIdentifier': name, 'DBInstanceArn': arn('db', name), 'DBInstanceStatus': cluster.status,
                        'Engine': ENGINE, 'EngineVersion': VERSION, 'DBInstanceClass': 'db.r6g.large',
                        'Endpoint': {'Address': '127.0.0.1', 'Port': cluster.server.port}}]}
        raise ApiError('DBInstanceNotFound', f'DBInstance {name} not found.', 404)

    # --- blue/green deployments ------------------------------------------------------

    def create_deployment(self, call):
        p = call.params
        name = p['BlueGreenDeploymentName']
        with self.lock:
            source = self.find(p['Source'])
            if any(d.name == name for d in self.deployments):
                raise ApiError('BlueGreenDeploymentAlreadyExistsFault', f'BlueGreenDeployment {name} already exists.')
            if source.status != 'available':
                raise ApiError('InvalidDBClusterStateFault', f'DB cluster {source.id} is {source.status}')
            if source.server.sql('SELECT @@log_bin;') != [['1']]:
                raise ApiError('SourceClusterNotSupportedFault', 'To create a blue/green deployment, binary logging must be on')
            group = p.get('TargetDBClusterParameterGroupName', source.group)
            if group not in self.groups:
                raise ApiError('DBClusterParameterGroupNotFound', f'DBClusterParameterGroup not found: {group}', 404)
            made = Deployment(p, source)
            self.deployments.append(made)
        threading.Thread(target=self.provide, args=(made, group), daemon=True, name='rds').start()
        return {'BlueGreenDeployment': made.told()}

    def provide(self, deployment, group):
        """The copy is read-only unless its parameter group says otherwise."""
        began, source = time.monotonic(), deployment.source
        try:
            server = self.copy_of(source, self.groups[group].get('read_only', '1') == '1')
            time.sleep(max(0, MAKING_S - (time.monotonic() - began)))
            cluster = self.add(f'{source.id}-green-{uuid.uuid4().hex[:6]}', server, group, tags=deployment.params.get('Tags', []),
                               follows=source.arn)
            cluster.status, deployment.target, deployment.status = 'available', cluster.arn, 'AVAILABLE'
        except Exception as e:
            deployment.details, deployment.status = str(e)[:200], 'PROVISIONING_FAILED'

    def describe_deployments(self, call):
        wanted = call.params.get('BlueGreenDeploymentIdentifier')
        with self.lock:
            found = [d for d in self.deployments if wanted in (None, d.id)]
        if wanted and not found:
            raise ApiError('BlueGreenDeploymentNotFoundFault', f'BlueGreenDeployment {wanted} not found.', 404)
        keys = {'blue-green-deployment-identifier': 'id', 'blue-green-deployment-name': 'name', 'source': 'source.arn',
                'target': 'target'}
        for f in call.params.get('Filters', []):
            if f['Name'] not in keys:
                raise ApiError('InvalidParameterValue', f"Unrecognized filter name: {f['Name']}")
            found = [d for d in found if (d.source.arn if f['Name'] == 'source' else getattr(d, keys[f['Name']])) in f['Values']]
        return {'BlueGreenDeployments': [d.told() for d in found]}

    def install(self, api):
        for action, handler in (('DescribeDBClusters', self.describe_clusters), ('DescribeDBInstances', self.describe_instances),
                                ('CreateBlueGreenDeployment', self.create_deployment),
                                ('DescribeBlueGreenDeployments', self.describe_deployments)):
            api.handlers['rds', action] = handler


# --- MariaDB as RDS has it --------------------------------------------------------------

# What RDS's own stored procedures do, for accounts that may call them and nothing more:
# AmazonRDS/latest/UserGuide/mysql-stored-proc-replicating.html
PROCEDURES = '''
DELIMITER //
CREATE PROCEDURE mysql.rds_stop_replication() SQL SECURITY DEFINER BEGIN STOP SLAVE; SELECT 'Replication stopped'; END//
CREATE PROCEDURE mysql.rds_reset_external_master() SQL SECURITY DEFINER BEGIN RESET SLAVE ALL; SELECT 'Slave has been reset'; END//
DELIMITER ;
'''


def options(number, run, tls, more=''):
    """A server that writes a row-based log, speaks TLS, and can follow another."""
    return (f"server-id={number}\nlog-bin={os.path.join(run, f'bin-{number}', 'log')}\nbinlog-format=ROW\nbinlog-row-image=FULL\n"
            f"relay-log={os.path.join(run, f'bin-{number}', 'relay')}\nsync-binlog=0\nskip-slave-start\nslave-net-timeout=10\n"
            f'ssl-ca={tls.ca}\nssl-cert={tls.cert}\nssl-key={tls.key}\n{more}')


def follow(server, source, tls, user, password):
    """From the start of the source's log, which began on the data that the copy began on.
    STOP SLAVE may wait for the next event or heartbeat when the connection is TLS: hence the latter."""
    server.sql(f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={source.port}, MASTER_USER='{user}', "
               f"MASTER_PASSWORD='{password}', MASTER_LOG_FILE='log.000001', MASTER_LOG_POS=4, MASTER_CONNECT_RETRY=1, MASTER_HEARTBEAT_PERIOD=0.2, "
               f"MASTER_SSL=1, MASTER_SSL_CA='{tls.ca}', MASTER_SSL_VERIFY_SERVER_CERT=1; START SLAVE;")


def caught_up(server, source):
    """Has the copy applied all that is in the source's log?"""
    return server.sql('SELECT @@gtid_slave_pos;') == source.sql('SELECT @@gtid_binlog_pos;')


def make_server(procs, run, name, number, tls, more=''):
    os.makedirs(os.path.join(run, f'bin-{number}'), exist_ok=True)
    return mariadb.Server(procs, run, name, options(number, run, tls, more))
