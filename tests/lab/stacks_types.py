"""Every resource type of templates/: through the lab's own API where it has one,
through moto's models where moto knows the type, and for the rest as air: a name
and attributes of the right form, and nothing behind them. What is air is counted:
it must be exactly what unknown_types.txt says.
"""
import importlib
import re
import sys
import types
import uuid

from moto.core.common_models import CloudFormationModel

from aws_api import ACCOUNT, REGION
from cfn_types import TYPES, Failed, ListenerRule, Resource, Service, TargetGroup, TaskDefinition, camel, numbers

SERVICES = ('ec2', 's3', 'iam', 'logs', 'sns', 'sqs', 'kms', 'ecr', 'efs', 'autoscaling', 'ecs', 'elbv2', 'rds', 'secretsmanager',
            'ssm', 'cloudwatch', 'applicationautoscaling', 'firehose', 'elasticache', 'wafv2', 'cloudfront', 'acm', 'dynamodb')


def stand_in():
    """moto's models name exceptions of moto.cloudformation, whose parser wants packages of services that are not here."""
    package, exceptions = types.ModuleType('moto.cloudformation'), types.ModuleType('moto.cloudformation.exceptions')
    for name in ('UnformattedGetAttTemplateException', 'ValidationError', 'UnsupportedAttribute'):
        setattr(exceptions, name, type(name, (Exception,), {}))
    package.exceptions = exceptions
    sys.modules.update({'moto.cloudformation': package, 'moto.cloudformation.exceptions': exceptions})


def moto_models():
    """{type: class}: what moto's CloudFormation would make, without the packages that its own parser wants."""
    stand_in()
    for service in SERVICES:
        importlib.import_module(f'moto.{service}.models')
    found, left = {}, [CloudFormationModel]
    while left:
        model = left.pop()
        left += model.__subclasses__()
        found[model.cloudformation_type()] = model
    return found


MODELS = moto_models()
MAPS = {'options', 'tags', 'labels'}  # whose keys are the user's
RENAMED = {'eFSVolumeConfiguration': 'efsVolumeConfiguration', 'filesystemId': 'fileSystemId', 'iAM': 'iam'}


def ecs_names(value):
    """As camel, but maps keep their keys, and ECS's own spellings."""
    if isinstance(value, list):
        return [ecs_names(v) for v in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for key, inner in value.items():
        name = key[0].lower() + key[1:]
        name = RENAMED.get(name, name)
        out[name] = {k: str(v) for k, v in inner.items()} if name in MAPS and isinstance(inner, dict) else ecs_names(inner)
    return out


class FullTaskDefinition(TaskDefinition):
    known = TaskDefinition.known | {'Volumes', 'EphemeralStorage'}

    def create(self, properties, made):
        self.check(properties)
        args = ecs_names(properties)
        args.setdefault('family', f'{self.stack}-{self.name}')
        for container in args['containerDefinitions']:
            for number in ('cpu', 'memory', 'memoryReservation', 'stopTimeout'):
                if number in container:
                    container[number] = int(container[number])
            for port in container.get('portMappings', []):
                port.update({k: int(v) for k, v in port.items() if k.endswith('Port')})
            container['environment'] = [{'name': e['name'], 'value': str(e['value'])} for e in container.get('environment', [])]
        args.update({k: str(args[k]) for k in ('cpu', 'memory') if k in args})
        arn = self.clients('ecs').register_task_definition(**args)['taskDefinition']['taskDefinitionArn']
        made(arn, {'TaskDefinitionArn': arn})


class FullService(Service):
    known = Service.known | {'AvailabilityZoneRebalancing'}
    unknown_to_moto = {'AvailabilityZoneRebalancing', 'CapacityProviderStrategy', 'PlatformVersion'}

    def create(self, properties, made):
        """Without DesiredCount ECS starts one; the scalable target lifts that to its least."""
        least = [s.get('Base') for s in properties.get('CapacityProviderStrategy', [])]
        kept = {k: v for k, v in properties.items() if k not in self.unknown_to_moto}
        kept.setdefault('DesiredCount', int(least[0]) if least and least[0] else 1)
        kept.setdefault('LaunchType', 'FARGATE')
        kept.setdefault('ServiceName', f'{self.stack}-{self.name}-{uuid.uuid4().hex[:8]}')
        self.check(properties)
        super().create(kept, made)


class LoadBalancer(Resource):
    known = {'Type', 'Scheme', 'Subnets', 'SecurityGroups', 'LoadBalancerAttributes', 'Tags', 'Name', 'IpAddressType'}
    replaced_by = {'Scheme', 'Type', 'Name'}

    def create(self, properties, made):
        self.check(properties)
        args = {k: v for k, v in properties.items() if k != 'LoadBalancerAttributes'}
        args.setdefault('Name', f'{self.stack}-{self.name}'[:23].strip('-') + '-' + uuid.uuid4().hex[:8])
        told = self.clients('elbv2').create_load_balancer(**args)['LoadBalancers'][0]
        arn = told['LoadBalancerArn']
        made(arn, {'LoadBalancerArn': arn, 'LoadBalancerFullName': arn.split('loadbalancer/')[1], 'DNSName': told['DNSName'],
                   'CanonicalHostedZoneID': 'Z215JYRZR1TBD5'})
        self.set(arn, properties)

    def set(self, arn, properties):
        moto_knows = [a for a in properties.get('LoadBalancerAttributes', []) if a['Key'].split('.')[0] in
                      ('deletion_protection', 'access_logs', 'routing', 'idle_timeout', 'load_balancing')]
        self.clients('elbv2').modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[
            {'Key': a['Key'], 'Value': str(a['Value'])} for a in moto_knows])

    def update(self, physical, properties, old):
        self.set(physical, properties)

    def delete(self, physical, properties):
        """As at AWS, one that is protected is not deleted: the people take that off first."""
        told = self.clients('elbv2').describe_load_balancer_attributes(LoadBalancerArn=physical)['Attributes']
        if {'Key': 'deletion_protection.enabled', 'Value': 'true'} in told:
            raise Failed(f"Load balancer '{physical}' cannot be deleted because deletion protection is enabled")
        self.clients('elbv2').delete_load_balancer(LoadBalancerArn=physical)


class Listener(Resource):
    known = {'LoadBalancerArn', 'Port', 'Protocol', 'SslPolicy', 'Certificates', 'DefaultActions', 'AlpnPolicy'}
    replaced_by = {'LoadBalancerArn'}

    def create(self, properties, made):
        self.check(properties)
        made_here = self.clients('elbv2').create_listener(**numbers(properties, 'Port'))['Listeners'][0]
        made(made_here['ListenerArn'], {'ListenerArn': made_here['ListenerArn']})

    def update(self, physical, properties, old):
        self.clients('elbv2').modify_listener(ListenerArn=physical, **numbers(
            {k: v for k, v in properties.items() if k != 'LoadBalancerArn'}, 'Port'))

    def delete(self, physical, properties):
        self.clients('elbv2').delete_listener(ListenerArn=physical)


class Alarm(Resource):
    known = {'AlarmDescription', 'ActionsEnabled', 'AlarmActions', 'Namespace', 'MetricName', 'Dimensions', 'Statistic', 'Period',
             'EvaluationPeriods', 'DatapointsToAlarm', 'ComparisonOperator', 'Threshold', 'TreatMissingData', 'Metrics',
             'ExtendedStatistic', 'AlarmName', 'OKActions', 'Tags'}

    def create(self, properties, made):
        self.check(properties)
        name = properties.get('AlarmName', f'{self.stack}-{self.name}-{uuid.uuid4().hex[:12]}')
        self.put(name, properties)
        made(name, {'Arn': f'arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}'})

    def put(self, name, properties):
        args = {k: v for k, v in properties.items() if k != 'Tags'}
        args = numbers(args, 'Period', 'EvaluationPeriods', 'DatapointsToAlarm')
        args.update(AlarmName=name, Threshold=float(args['Threshold']))
        if 'ActionsEnabled' in args:
            args['ActionsEnabled'] = str(args['ActionsEnabled']).lower() == 'true'
        self.clients('cloudwatch').put_metric_alarm(**args)

    def update(self, physical, properties, old):
        self.put(physical, properties)

    def delete(self, physical, properties):
        self.clients('cloudwatch').delete_alarms(AlarmNames=[physical])


# --- moto's models -------------------------------------------------------------

EXTRA = {  # attributes that moto forgot, of its object and the physical id
    ('AWS::SQS::Queue', 'Arn'): lambda thing, name: thing.queue_arn,
    ('AWS::SQS::Queue', 'QueueName'): lambda thing, name: thing.name,
    ('AWS::EC2::EIP', 'AllocationId'): lambda thing, name: thing.allocation_id,
    ('AWS::S3::Bucket', 'Arn'): lambda thing, name: f'arn:aws:s3:::{name}',
    ('AWS::S3::Bucket', 'RegionalDomainName'): lambda thing, name: f'{name}.s3.{REGION}.amazonaws.com',
    ('AWS::S3::Bucket', 'DomainName'): lambda thing, name: f'{name}.s3.amazonaws.com',
    ('AWS::EFS::FileSystem', 'Arn'): lambda thing, name: f'arn:aws:elasticfilesystem:{REGION}:{ACCOUNT}:file-system/{name}',
    ('AWS::EFS::AccessPoint', 'AccessPointId'): lambda thing, name: name,
    ('AWS::EFS::AccessPoint', 'Arn'): lambda thing, name: f'arn:aws:elasticfilesystem:{REGION}:{ACCOUNT}:access-point/{name}',
    ('AWS::Logs::LogGroup', 'Arn'): lambda thing, name: f'arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}:*',
    ('AWS::SNS::Topic', 'TopicArn'): lambda thing, name: name,
    ('AWS::KMS::Key', 'Arn'): lambda thing, name: name if name.startswith('arn:') else f'arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}',
    ('AWS::EC2::LaunchTemplate', 'LatestVersionNumber'): lambda thing, name: '1',
    ('AWS::ECS::Cluster', 'Arn'): lambda thing, name: f'arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{name}',
}


class Attributes(dict):
    """Asked of moto's object when they are wanted."""

    def __init__(self, kind, thing, physical):
        super().__init__()
        self.kind, self.thing, self.physical = kind, thing, physical

    def __contains__(self, name):
        if name in self.keys():
            return True
        value = EXTRA[self.kind, name](self.thing, self.physical) if (self.kind, name) in EXTRA else self.ask(name)
        if value is None:
            return False
        self[name] = value
        return True

    def ask(self, name):
        try:
            value = self.thing.get_cfn_attribute(name)
        except Exception:
            return None
        return None if value is None else str(value)


def id_as(key):
    return lambda physical, properties, thing: {key: physical}


DELETED_BY_API = {  # what moto's models cannot take away again: service, call, its parameters
    'AWS::EC2::EIP': ('ec2', 'release_address', lambda p, q, thing: {'AllocationId': thing.allocation_id}),
    'AWS::EC2::FlowLog': ('ec2', 'delete_flow_logs', lambda p, q, thing: {'FlowLogIds': [p]}),
    'AWS::EC2::InternetGateway': ('ec2', 'delete_internet_gateway', id_as('InternetGatewayId')),
    'AWS::EC2::NatGateway': ('ec2', 'delete_nat_gateway', id_as('NatGatewayId')),
    'AWS::EC2::Route': ('ec2', 'delete_route', lambda p, q, thing: {k: q[k] for k in ('RouteTableId', 'DestinationCidrBlock')}),
    'AWS::EC2::RouteTable': ('ec2', 'delete_route_table', id_as('RouteTableId')),
    'AWS::EC2::VPCEndpoint': ('ec2', 'delete_vpc_endpoints', lambda p, q, thing: {'VpcEndpointIds': [p]}),
    'AWS::EC2::VPCGatewayAttachment': ('ec2', 'detach_internet_gateway',
                                       lambda p, q, thing: {k: q[k] for k in ('VpcId', 'InternetGatewayId')}),
    'AWS::ECS::Cluster': ('ecs', 'delete_cluster', id_as('cluster')),
    'AWS::IAM::ManagedPolicy': ('iam', 'delete_policy', id_as('PolicyArn')),
}
GONE_WITH_OTHERS = {'AWS::EC2::SecurityGroupIngress', 'AWS::EC2::SubnetRouteTableAssociation'}


class Moto(Resource):
    """A type of moto's: made, changed and deleted by moto's own CloudFormation models."""
    replacement = 'False'

    def __init__(self, clients, stack, name, kind, stack_id, lock):
        super().__init__(clients, stack, name)
        self.kind, self.stack_id, self.lock = kind, stack_id, lock
        self.model, self.thing = MODELS[kind], None

    def create(self, properties, made):
        key = self.model.cloudformation_name_type()
        name = properties.get(key) if key else None
        name = name or f'{self.stack}-{self.name}-{uuid.uuid4().hex[:12]}'
        if self.kind in ('AWS::S3::Bucket', 'AWS::ECR::Repository'):
            name = name.lower()
            if key and self.kind == 'AWS::ECR::Repository':
                properties = {**properties, key: name}
        with self.lock:
            self.thing = self.model.create_from_cloudformation_json(
                name, {'Type': self.kind, 'Properties': self.cleaned(properties)}, ACCOUNT, REGION, LogicalId=self.name,
                StackId=self.stack_id, ResourceType=self.kind)
        physical = getattr(self.thing, 'physical_resource_id', None) or name
        made(self.shown(physical), Attributes(self.kind, self.thing, physical))

    def shown(self, physical):
        if self.kind == 'AWS::EFS::AccessPoint':
            return getattr(self.thing, 'access_point_id', physical)
        return str(physical)

    @staticmethod
    def cleaned(properties):
        return properties

    def update(self, physical, properties, old):
        """Moto's models update few types; the others keep what they were made with, which no test reads back."""
        update = getattr(self.model, 'update_from_cloudformation_json', None)
        if update and not hasattr(update, '__isabstractmethod__'):
            with self.lock:
                self.thing = update(original_resource=self.thing, new_resource_name=physical, cloudformation_json={
                    'Type': self.kind, 'Properties': properties}, account_id=ACCOUNT, region_name=REGION) or self.thing

    def delete(self, physical, properties):
        if self.kind in DELETED_BY_API:
            service, call, parameters = DELETED_BY_API[self.kind]
            getattr(self.clients(service), call)(**parameters(physical, properties, self.thing))
            return
        with self.lock:
            if hasattr(self.thing, 'delete'):
                self.thing.delete(ACCOUNT, REGION)
            elif self.kind not in GONE_WITH_OTHERS:
                self.model.delete_from_cloudformation_json(
                    getattr(self.thing, 'physical_resource_id', physical), {'Type': self.kind, 'Properties': properties},
                    ACCOUNT, REGION)


# --- air ------------------------------------------------------------------------

def arn(service, resource, region=REGION):
    return f'arn:aws:{service}:{region}:{ACCOUNT}:{resource}'


AIR = {  # type: (physical id, {attribute: value}); {id} is new for each, {name} the stack's and its own
    'AWS::RDS::DBCluster': ('{name}-{id}', {
        'Endpoint.Address': '{name}.cluster-{id}.%s.rds.amazonaws.com' % REGION, 'Endpoint.Port': '3306',
        'ReadEndpoint.Address': '{name}.cluster-ro-{id}.%s.rds.amazonaws.com' % REGION,
        'DBClusterArn': arn('rds', 'cluster:{name}-{id}'), 'DBClusterResourceId': 'cluster-{ID}',
        'MasterUserSecret.SecretArn': arn('secretsmanager', 'secret:rds!cluster-{id}')}),
    'AWS::RDS::DBInstance': ('{name}-{id}', {'Endpoint.Address': '{name}.{id}.%s.rds.amazonaws.com' % REGION}),
    'AWS::RDS::DBSubnetGroup': ('{name}-{id}', {}),
    'AWS::RDS::DBParameterGroup': ('{name}-{id}', {}),
    'AWS::ElastiCache::CacheCluster': ('{short}', {
        'ConfigurationEndpoint.Address': '{short}.cfg.cache.amazonaws.com', 'ConfigurationEndpoint.Port': '11211'}),
    'AWS::ElastiCache::ReplicationGroup': ('{short}', {
        'PrimaryEndPoint.Address': 'master.{short}.cache.amazonaws.com', 'PrimaryEndPoint.Port': '6379'}),
    'AWS::SecretsManager::Secret': (arn('secretsmanager', 'secret:{name}-{id}'), {'Id': arn('secretsmanager', 'secret:{name}-{id}')}),
    'AWS::CloudFront::Distribution': ('E{ID}', {'DomainName': 'd{id}.cloudfront.net', 'Id': 'E{ID}'}),
    'AWS::CloudFront::OriginAccessControl': ('E{ID}', {'Id': 'E{ID}'}),
    'AWS::WAFv2::WebACL': ('{name}|{id}|REGIONAL', {'Arn': arn('wafv2', 'regional/webacl/{name}/{id}'), 'Id': '{id}'}),
    'AWS::ApplicationAutoScaling::ScalableTarget': ('service/{name}|ecs:service:DesiredCount|ecs', {'Id': '{id}'}),
    'AWS::KinesisFirehose::DeliveryStream': ('{name}-{id}', {'Arn': arn('firehose', 'deliverystream/{name}-{id}')}),
    'AWS::Logs::DeliveryDestination': ('{name}-{id}', {'Arn': arn('logs', 'delivery-destination:{name}-{id}')}),
    'AWS::SQS::QueuePolicy': ('{id}', {'Id': '{id}'}),
}


class Air(Resource):
    """A type that this machine's AWS does not know: nothing is there but what it is called."""
    replacement = 'False'

    def __init__(self, clients, stack, name, kind):
        super().__init__(clients, stack, name)
        self.kind = kind

    def create(self, properties, made):
        uid = uuid.uuid4().hex[:12]
        name = re.sub('[^a-z0-9-]', '', f'{self.stack}-{self.name}'.lower())
        fill = {'{name}': name, '{short}': f'{name[:24]}-{uid[:8]}', '{id}': uid, '{ID}': uid.upper()}

        def filled(text):
            for key, value in fill.items():
                text = text.replace(key, value)
            return text
        physical, attributes = AIR.get(self.kind, ('{name}-{id}', {}))
        made(filled(physical), {k: filled(v) for k, v in attributes.items()})

    def update(self, physical, properties, old):
        pass

    def delete(self, physical, properties):
        pass


OWN = {**TYPES, 'AWS::ECS::TaskDefinition': FullTaskDefinition, 'AWS::ECS::Service': FullService,
       'AWS::ElasticLoadBalancingV2::LoadBalancer': LoadBalancer, 'AWS::ElasticLoadBalancingV2::Listener': Listener,
       'AWS::CloudWatch::Alarm': Alarm}
NOT_BY_MOTO = {  # moto has a model, which fails for what the templates say: aurora, parameter groups
    'AWS::RDS::DBInstance', 'AWS::RDS::DBSubnetGroup', 'AWS::RDS::DBParameterGroup'}


def kind_of(kind):
    """'own', 'moto' or 'air'."""
    if kind in OWN:
        return 'own'
    return 'moto' if kind in MODELS and kind not in NOT_BY_MOTO else 'air'


def replaced_by(kind):
    """Properties whose change makes a new one: the few that tests use."""
    table = {'AWS::RDS::DBCluster': {'DatabaseName', 'StorageEncrypted', 'KmsKeyId', 'DBSubnetGroupName'},
             'AWS::EC2::VPC': {'CidrBlock'}, 'AWS::EC2::Subnet': {'CidrBlock', 'AvailabilityZone', 'VpcId'},
             'AWS::S3::Bucket': {'BucketName'}, 'AWS::ElasticLoadBalancingV2::TargetGroup': {'Port', 'Protocol', 'VpcId', 'TargetType'}}
    return table.get(kind) or getattr(OWN.get(kind), 'replaced_by', set())
