"""The resource types that the lab's CloudFormation can make, each through the API.

A type names the properties it knows; any other is a failure, as at AWS. A maker
calls made(physical id, attributes) as soon as the thing exists, so that a later
failure can take it back.
"""
import time

STABLE_S = 60  # how long a service may take until its tasks run and are healthy


class Failed(Exception):
    """Why a resource could not be made: what the event says."""


def camel(value):
    """CloudFormation's names (PascalCase) as ECS's API has them (camelCase)."""
    if isinstance(value, list):
        return [camel(v) for v in value]
    if isinstance(value, dict):
        return {k[0].lower() + k[1:]: camel(v) for k, v in value.items()}
    return value


def numbers(properties, *names):
    return {k: int(v) if k in names else v for k, v in properties.items()}


class Resource:
    known, replacement = set(), 'True'

    def __init__(self, clients, stack, name):
        self.clients, self.stack, self.name = clients, stack, name

    def check(self, properties):
        unknown = sorted(set(properties) - self.known)
        if unknown:
            raise Failed(f'Properties validation failed for resource {self.name} with message: '
                         f'#: extraneous key [{unknown[0]}] is not permitted')

    def update(self, physical, properties, old):
        raise Failed(f'the lab cannot update a {type(self).__name__} in place')


class TargetGroup(Resource):
    known = {'Name', 'Port', 'Protocol', 'VpcId', 'TargetType', 'HealthCheckPath', 'HealthCheckIntervalSeconds',
             'HealthCheckTimeoutSeconds', 'HealthyThresholdCount', 'UnhealthyThresholdCount', 'HealthCheckEnabled',
             'HealthCheckPort', 'HealthCheckProtocol', 'Matcher', 'TargetGroupAttributes', 'Tags', 'IpAddressType',
             'ProtocolVersion'}

    def create(self, properties, made):
        self.check(properties)
        elb = self.clients('elbv2')
        attributes = properties.get('TargetGroupAttributes')
        args = numbers({k: v for k, v in properties.items() if k != 'TargetGroupAttributes'}, 'Port',
                       'HealthCheckIntervalSeconds', 'HealthCheckTimeoutSeconds', 'HealthyThresholdCount',
                       'UnhealthyThresholdCount')
        args.setdefault('Name', f'{self.stack}-{self.name}'[:32].strip('-'))
        group = elb.create_target_group(**args)['TargetGroups'][0]
        arn = group['TargetGroupArn']
        made(arn, {'TargetGroupArn': arn, 'TargetGroupFullName': arn.split(':', 5)[5], 'TargetGroupName': group['TargetGroupName']})
        if attributes:
            elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[
                {'Key': a['Key'], 'Value': str(a['Value'])} for a in attributes])

    def delete(self, physical, properties):
        self.clients('elbv2').delete_target_group(TargetGroupArn=physical)


class ListenerRule(Resource):
    known = {'ListenerArn', 'Priority', 'Conditions', 'Actions', 'Tags'}

    def create(self, properties, made):
        self.check(properties)
        rule = self.clients('elbv2').create_rule(**numbers(properties, 'Priority'))['Rules'][0]
        made(rule['RuleArn'], {'RuleArn': rule['RuleArn'], 'IsDefault': 'false'})

    def delete(self, physical, properties):
        self.clients('elbv2').delete_rule(RuleArn=physical)


class TaskDefinition(Resource):
    known = {'Family', 'ContainerDefinitions', 'Cpu', 'Memory', 'NetworkMode', 'RequiresCompatibilities', 'Tags',
             'ExecutionRoleArn', 'TaskRoleArn', 'RuntimePlatform'}

    def create(self, properties, made):
        self.check(properties)
        args = camel(properties)
        args['family'] = args.get('family', f'{self.stack}-{self.name}')
        for container in args['containerDefinitions']:
            for number in ('cpu', 'memory', 'memoryReservation'):
                if number in container:
                    container[number] = int(container[number])
            for port in container.get('portMappings', []):
                port.update({k: int(v) for k, v in port.items() if k.endswith('Port')})
        args.update({k: str(args[k]) for k in ('cpu', 'memory') if k in args})
        arn = self.clients('ecs').register_task_definition(**args)['taskDefinition']['taskDefinitionArn']
        made(arn, {'TaskDefinitionArn': arn})

    def delete(self, physical, properties):
        self.clients('ecs').deregister_task_definition(taskDefinition=physical)


class Service(Resource):
    known = {'Cluster', 'ServiceName', 'TaskDefinition', 'DesiredCount', 'LaunchType', 'LoadBalancers', 'Tags',
             'NetworkConfiguration', 'HealthCheckGracePeriodSeconds', 'DeploymentConfiguration', 'PlatformVersion',
             'PropagateTags', 'EnableExecuteCommand', 'EnableECSManagedTags', 'CapacityProviderStrategy'}
    replacement = 'False'

    def create(self, properties, made):
        self.check(properties)
        args = camel(properties)
        for unused in ('deploymentConfiguration', 'enableExecuteCommand', 'enableECSManagedTags',
                       'healthCheckGracePeriodSeconds', 'capacityProviderStrategy'):
            args.pop(unused, None)
        args['desiredCount'] = int(args.get('desiredCount', 1))
        for balancer in args.get('loadBalancers', []):
            balancer['containerPort'] = int(balancer['containerPort'])
        args.setdefault('serviceName', f'{self.stack}-{self.name}')
        service = self.clients('ecs').create_service(**args)['service']
        made(service['serviceArn'], {'Name': service['serviceName'], 'ServiceArn': service['serviceArn']})
        self.settle(args.get('cluster', 'default'), service['serviceName'], args)

    def settle(self, cluster, name, args):
        """Until its tasks run and their targets are healthy, as CloudFormation waits."""
        end = time.monotonic() + STABLE_S
        while time.monotonic() < end:
            service = self.clients('ecs').describe_services(cluster=cluster, services=[name])['services'][0]
            if service['runningCount'] == service['desiredCount'] and self.healthy(args) >= service['desiredCount']:
                return
            time.sleep(0.3)
        raise Failed('Resource handler returned message: "Error occurred during operation \'ECS Deployment Circuit Breaker '
                     'was triggered\'." (HandlerErrorCode: GeneralServiceException)')

    def healthy(self, args):
        counts = [999]
        for balancer in args.get('loadBalancers', []):
            told = self.clients('elbv2').describe_target_health(TargetGroupArn=balancer['targetGroupArn'])
            counts.append(sum(t['TargetHealth']['State'] == 'healthy' for t in told['TargetHealthDescriptions']))
        return min(counts)

    def update(self, physical, properties, old):
        self.check(properties)
        args = camel(properties)
        cluster = args.get('cluster', 'default')
        self.clients('ecs').update_service(cluster=cluster, service=physical, desiredCount=int(args['desiredCount']),
                                           taskDefinition=args['taskDefinition'])
        self.settle(cluster, physical.split('/')[-1], args)

    def delete(self, physical, properties):
        ecs, cluster = self.clients('ecs'), properties.get('Cluster', 'default')
        ecs.update_service(cluster=cluster, service=physical, desiredCount=0)
        end = time.monotonic() + STABLE_S
        while time.monotonic() < end:
            if ecs.describe_services(cluster=cluster, services=[physical])['services'][0]['runningCount'] == 0:
                break
            time.sleep(0.3)
        ecs.delete_service(cluster=cluster, service=physical, force=True)


TYPES = {'AWS::ElasticLoadBalancingV2::TargetGroup': TargetGroup, 'AWS::ElasticLoadBalancingV2::ListenerRule': ListenerRule,
         'AWS::ECS::TaskDefinition': TaskDefinition, 'AWS::ECS::Service': Service}
