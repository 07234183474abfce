"""CloudFormation: change sets and stacks that take their time and can fail.

Nothing is complete when the call returns: a thread walks the resources in order
of need, writes an event for each, and takes everything back when one fails.
Resources are made through the lab's own API, signed, as any client would.
docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
"""
import datetime
import threading
import time
import uuid

import template as templates
from aws_api import ACCOUNT, REGION
from cfn_types import TYPES, Failed
from errors import ApiError, invalid

STEP_S = 0.3  # how long a resource takes at least
KEEP_IN_REVIEW = {'REVIEW_IN_PROGRESS'}


def now():
    return datetime.datetime.now(datetime.timezone.utc)


class Stack:
    def __init__(self, name):
        self.name = name
        self.id = f'arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/{uuid.uuid4()}'
        self.status, self.reason, self.created, self.updated, self.deleted = 'REVIEW_IN_PROGRESS', None, now(), None, None
        self.template, self.values, self.tags, self.capabilities = {'Resources': {}}, {}, [], []
        self.resources = {}  # logical name: {'type', 'physical', 'attributes', 'properties', 'status'}
        self.outputs, self.events, self.token, self.change_sets = [], [], None, {}

    def event(self, logical, kind, status, reason=None, physical=None, properties=None):
        event = {'StackId': self.id, 'EventId': f'{logical}-{uuid.uuid4()}', 'StackName': self.name,
                 'LogicalResourceId': logical, 'PhysicalResourceId': physical or '', 'ResourceType': kind,
                 'Timestamp': now(), 'ResourceStatus': status}
        if reason:
            event['ResourceStatusReason'] = reason
        if self.token:
            event['ClientRequestToken'] = self.token
        self.events.insert(0, event)

    def turn(self, status, reason=None):
        self.status, self.reason = status, reason
        self.event(self.name, 'AWS::CloudFormation::Stack', status, reason, self.id)

    def scope(self, values=None, template=None):
        return templates.Scope(
            template or self.template, self.values if values is None else values,
            {'AWS::Region': REGION, 'AWS::AccountId': ACCOUNT, 'AWS::StackName': self.name, 'AWS::StackId': self.id,
             'AWS::Partition': 'aws', 'AWS::URLSuffix': 'amazonaws.com'},
            self.physical, self.attribute)

    def physical(self, name):
        return self.resources[name]['physical']

    def attribute(self, name, attribute):
        known = self.resources[name]['attributes']
        if attribute not in known:
            raise Failed(f"Template error: resource {name} does not support attribute type {attribute} in Fn::GetAtt")
        return known[attribute]

    def told(self):
        out = {'StackName': self.name, 'StackId': self.id, 'CreationTime': self.created, 'StackStatus': self.status,
               'Tags': self.tags, 'Capabilities': self.capabilities, 'DisableRollback': False,
               'Parameters': [{'ParameterKey': k, 'ParameterValue': self.shown(k, v)} for k, v in self.values.items()],
               'Outputs': self.outputs, 'DriftInformation': {'StackDriftStatus': 'NOT_CHECKED'},
               'EnableTerminationProtection': False}
        for key, value in (('StackStatusReason', self.reason), ('LastUpdatedTime', self.updated),
                           ('DeletionTime', self.deleted), ('Description', self.template.get('Description'))):
            if value:
                out[key] = value
        return out

    def shown(self, name, value):
        hidden = str(self.template.get('Parameters', {}).get(name, {}).get('NoEcho', '')).lower() == 'true'
        return '****' if hidden else value


class ChangeSet:
    def __init__(self, stack, params, template, values):
        self.stack, self.params, self.template, self.values = stack, params, template, values
        self.name, self.kind = params['ChangeSetName'], params.get('ChangeSetType', 'UPDATE')
        self.id = f'arn:aws:cloudformation:{REGION}:{ACCOUNT}:changeSet/{self.name}/{uuid.uuid4()}'
        self.status, self.execution, self.reason, self.created = 'CREATE_PENDING', 'UNAVAILABLE', None, now()
        self.changes = []

    def told(self):
        out = {'ChangeSetName': self.name, 'ChangeSetId': self.id, 'StackId': self.stack.id, 'StackName': self.stack.name,
               'Status': self.status, 'ExecutionStatus': self.execution, 'CreationTime': self.created,
               'Parameters': [{'ParameterKey': k, 'ParameterValue': self.stack.shown(k, v)} for k, v in self.values.items()],
               'Tags': self.params.get('Tags', []), 'Capabilities': self.params.get('Capabilities', []),
               'IncludeNestedStacks': False}
        if self.reason:
            out['StatusReason'] = self.reason
        return out


class CloudFormation:
    """clients: service name -> boto3 client to the lab's own API."""

    def __init__(self, api, clients):
        self.api, self.clients, self.stacks = api, clients, []
        self.fail = {}  # logical name: reason; a fault: this resource fails to be created
        self.threads = []

    # --- finding things ------------------------------------------------------

    def find(self, name):
        """A stack by name (not a deleted one) or id."""
        for stack in reversed(self.stacks):
            if stack.id == name or (stack.name == name and stack.status != 'DELETE_COMPLETE'):
                return stack
        return None

    def need(self, name):
        stack = self.find(name)
        if stack is None:
            raise invalid(f'Stack with id {name} does not exist')
        return stack

    def change_set(self, params):
        name = params['ChangeSetName']
        stacks = [self.need(params['StackName'])] if params.get('StackName') else self.stacks
        if not params.get('StackName') and not name.startswith('arn:'):
            raise invalid('StackName must be specified if ChangeSetName is not specified as an ARN.')
        for stack in stacks:
            for change in stack.change_sets.values():
                if name in (change.name, change.id):
                    return change
        raise ApiError('ChangeSetNotFound', f'ChangeSet [{name}] does not exist', 404)

    # --- change sets -----------------------------------------------------------

    def create_change_set(self, call):
        p = call.params
        kind = p.get('ChangeSetType', 'UPDATE')
        if kind not in ('CREATE', 'UPDATE'):
            raise invalid('the lab has change sets of type CREATE and UPDATE')
        stack = self.find(p['StackName'])
        self.check_stack(stack, p, kind)
        old = stack.change_sets.get(p['ChangeSetName']) if stack else None
        if old:
            if p.get('ClientToken') and old.params.get('ClientToken') == p['ClientToken']:
                return {'Id': old.id, 'StackId': stack.id}
            raise ApiError('AlreadyExistsException', f"ChangeSet {p['ChangeSetName']} cannot be created due to a mismatch "
                                                     'with existing attribute Template')
        template = self.template_of(p, stack)
        values = templates.parameters(template, p.get('Parameters', []), stack.values if stack else None)
        self.check_capabilities(template, p)
        if stack is None:
            stack = Stack(p['StackName'])
            stack.turn('REVIEW_IN_PROGRESS', 'User Initiated')
            self.stacks.append(stack)
        change = ChangeSet(stack, p, template, values)
        stack.change_sets[change.name] = change
        self.later(self.prepare, change)
        return {'Id': change.id, 'StackId': stack.id}

    @staticmethod
    def check_stack(stack, p, kind):
        if kind == 'CREATE' and stack and stack.status not in KEEP_IN_REVIEW:
            raise ApiError('AlreadyExistsException', f"Stack [{p['StackName']}] already exists and cannot be created again "
                                                     f'with the changeSet [{p["ChangeSetName"]}].')
        if kind == 'UPDATE':
            if stack is None or stack.status in KEEP_IN_REVIEW:
                raise invalid(f"Stack [{p['StackName']}] does not exist")
            if stack.status not in ('CREATE_COMPLETE', 'UPDATE_COMPLETE', 'UPDATE_ROLLBACK_COMPLETE'):
                raise invalid(f'Stack:{stack.id} is in {stack.status} state and can not be updated.')

    @staticmethod
    def template_of(p, stack):
        ways = [w for w in ('TemplateBody', 'TemplateURL', 'UsePreviousTemplate') if p.get(w)]
        if len(ways) != 1:
            raise invalid('Either Template URL or Template Body must be specified.')
        if ways == ['TemplateBody']:
            return templates.read(p['TemplateBody'])
        if ways == ['TemplateURL'] or stack is None:
            raise invalid('the lab has no S3: give the template in TemplateBody')
        return stack.template

    @staticmethod
    def check_capabilities(template, p):
        named = any(r['Type'].startswith('AWS::IAM::') for r in template['Resources'].values())
        if named and not set(p.get('Capabilities', [])) & {'CAPABILITY_IAM', 'CAPABILITY_NAMED_IAM'}:
            raise ApiError('InsufficientCapabilitiesException', 'Requires capabilities : [CAPABILITY_IAM]')

    def prepare(self, change):
        time.sleep(STEP_S)
        change.status = 'CREATE_IN_PROGRESS'
        time.sleep(STEP_S)
        with self.api.lock:
            change.changes = self.differences(change)
            if change.changes:
                change.status, change.execution = 'CREATE_COMPLETE', 'AVAILABLE'
            else:
                change.status = 'FAILED'
                change.reason = "The submitted information didn't contain changes. Submit different information to create a change set."

    def wanted(self, template, scope):
        return [n for n, r in template['Resources'].items() if 'Condition' not in r or scope.condition(r['Condition'])]

    def differences(self, change):
        stack = change.stack
        scope = stack.scope(change.values, change.template)
        wanted = self.wanted(change.template, scope)
        out = []
        for name in wanted:
            resource = change.template['Resources'][name]
            if name not in stack.resources:
                out.append(self.change('Add', name, resource['Type']))
            elif self.source(stack.template, stack.values, name) != self.source(change.template, change.values, name):
                out.append(self.change('Modify', name, resource['Type'], stack.resources[name]['physical'],
                                       TYPES[resource['Type']].replacement if resource['Type'] in TYPES else 'Conditional'))
        for name in set(stack.resources) - set(wanted):
            out.append(self.change('Remove', name, stack.resources[name]['type'], stack.resources[name]['physical']))
        return out

    @staticmethod
    def source(template, values, name):
        """What a resource is made of: its text and the parameters that it names."""
        used = set()
        resource = template['Resources'].get(name, {})
        templates.walk(resource.get('Properties', {}), used.add)
        return resource.get('Properties'), {u: values[u] for u in used if u in values}

    @staticmethod
    def change(action, name, kind, physical=None, replacement=None):
        inner = {'Action': action, 'LogicalResourceId': name, 'ResourceType': kind, 'Scope': [], 'Details': []}
        if physical:
            inner['PhysicalResourceId'] = physical
        if replacement:
            inner.update(Replacement=replacement, Scope=['Properties'])
        return {'Type': 'Resource', 'ResourceChange': inner}

    def describe_change_set(self, call):
        change = self.change_set(call.params)
        start = int(call.params.get('NextToken') or 0)
        out = {**change.told(), 'Changes': change.changes[start:start + 50]}
        if start + 50 < len(change.changes):
            out['NextToken'] = str(start + 50)
        return out

    def delete_change_set(self, call):
        try:
            change = self.change_set(call.params)
        except ApiError as e:
            if e.code == 'ChangeSetNotFound' and not call.params['ChangeSetName'].startswith('arn:'):
                return {}  # deleting what is not there succeeds
            raise
        if change.status in ('CREATE_PENDING', 'CREATE_IN_PROGRESS') or change.execution == 'EXECUTE_IN_PROGRESS':
            raise ApiError('InvalidChangeSetStatus', f'ChangeSet [{change.id}] cannot be deleted in {change.status} status')
        del change.stack.change_sets[change.name]
        return {}

    def execute_change_set(self, call):
        change = self.change_set(call.params)
        if change.status != 'CREATE_COMPLETE' or change.execution != 'AVAILABLE':
            raise ApiError('InvalidChangeSetStatus', f'ChangeSet [{change.id}] cannot be executed in its current status of '
                                                     f'[{change.status}], execution status [{change.execution}]')
        change.execution = 'EXECUTE_IN_PROGRESS'
        stack = change.stack
        stack.token = call.params.get('ClientRequestToken')
        stack.change_sets = {change.name: change}
        stack.tags = change.params.get('Tags', [])
        stack.capabilities = change.params.get('Capabilities', [])
        if change.kind == 'CREATE':
            stack.template, stack.values = change.template, change.values
            stack.turn('CREATE_IN_PROGRESS', 'User Initiated')
            self.later(self.create, stack, change)
        else:
            stack.turn('UPDATE_IN_PROGRESS', 'User Initiated')
            self.later(self.update, stack, change)
        return {}

    # --- stacks ------------------------------------------------------------------

    def later(self, work, *args):
        thread = threading.Thread(target=work, args=args, daemon=True, name='cfn')
        self.threads = [t for t in self.threads if t.is_alive()] + [thread]
        thread.start()

    def maker(self, kind, stack, name):
        if kind not in TYPES:
            raise Failed(f'Unrecognized resource types: [{kind}]')
        return TYPES[kind](self.clients, stack.name, name)

    def make(self, stack, name, resource, scope):
        kind = resource['Type']
        stack.event(name, kind, 'CREATE_IN_PROGRESS')
        time.sleep(STEP_S)
        if name in self.fail:
            raise Failed(self.fail[name])
        maker = self.maker(kind, stack, name)
        properties = scope.resolve(resource.get('Properties', {}))
        record = {'type': kind, 'physical': '', 'attributes': {}, 'properties': properties, 'maker': maker}
        stack.resources[name] = record

        def made(physical, attributes):
            record.update(physical=physical, attributes=attributes)
            stack.event(name, kind, 'CREATE_IN_PROGRESS', 'Resource creation Initiated', physical)
        maker.create(properties, made)
        stack.event(name, kind, 'CREATE_COMPLETE', physical=record['physical'])

    def create(self, stack, change):
        scope = stack.scope()
        name = stack.name
        try:
            for name in templates.order(stack.template, self.wanted(stack.template, scope)):
                self.make(stack, name, stack.template['Resources'][name], scope)
            name = stack.name
            stack.outputs = self.outputs_of(stack, scope)
            stack.turn('CREATE_COMPLETE')
            change.execution = 'EXECUTE_COMPLETE'
        except Exception as e:
            change.execution = 'EXECUTE_FAILED'
            reason = str(e) if isinstance(e, Failed) else f'Resource handler returned message: "{e}"'
            kind = stack.template['Resources'].get(name, {}).get('Type', 'AWS::CloudFormation::Stack')
            stack.event(name, kind, 'CREATE_FAILED', reason, stack.resources.get(name, {}).get('physical'))
            self.after_failure(stack, change, name)

    def after_failure(self, stack, change, name):
        reason = f'The following resource(s) failed to create: [{name}]. '
        policy = change.params.get('OnStackFailure', 'ROLLBACK')
        if policy == 'DO_NOTHING':
            stack.turn('CREATE_FAILED', reason)
            return
        start, end = {'ROLLBACK': ('ROLLBACK_IN_PROGRESS', 'ROLLBACK_COMPLETE'),
                      'DELETE': ('DELETE_IN_PROGRESS', 'DELETE_COMPLETE')}[policy]
        stack.turn(start, reason + 'Rollback requested by user.' if policy == 'ROLLBACK' else reason)
        failed = self.remove_all(stack)
        if failed:
            stack.turn('ROLLBACK_FAILED' if policy == 'ROLLBACK' else 'DELETE_FAILED', failed)
        else:
            stack.deleted = now() if policy == 'DELETE' else None
            stack.turn(end)

    def outputs_of(self, stack, scope):
        out = []
        for key, output in stack.template.get('Outputs', {}).items():
            if 'Condition' in output and not scope.condition(output['Condition']):
                continue
            told = {'OutputKey': key, 'OutputValue': str(scope.resolve(output['Value']))}
            if output.get('Description'):
                told['Description'] = output['Description']
            out.append(told)
        return out

    def remove(self, stack, name):
        record = stack.resources[name]
        stack.event(name, record['type'], 'DELETE_IN_PROGRESS', physical=record['physical'])
        time.sleep(STEP_S)
        if record['physical']:
            record['maker'].delete(record['physical'], record['properties'])
        stack.event(name, record['type'], 'DELETE_COMPLETE', physical=record['physical'])
        del stack.resources[name]

    def remove_all(self, stack):
        """Everything, last made first; the reason when something stays."""
        try:
            names = templates.order(stack.template, list(stack.resources))[::-1]
        except ApiError:
            names = list(stack.resources)[::-1]
        failed = []
        for name in names:
            try:
                self.remove(stack, name)
            except Exception as e:
                stack.event(name, stack.resources[name]['type'], 'DELETE_FAILED', str(e), stack.resources[name]['physical'])
                failed.append(name)
        return f"The following resource(s) failed to delete: [{', '.join(failed)}]. " if failed else None

    def update(self, stack, change):
        """Modify what can be changed in place, add, then remove; on failure put back."""
        old_template, old_values = stack.template, stack.values
        old_properties = {n: r['properties'] for n, r in stack.resources.items()}
        stack.template, stack.values = change.template, change.values
        name = stack.name
        try:
            scope = stack.scope()
            wanted = self.wanted(stack.template, scope)
            for name in templates.order(stack.template, wanted):
                self.update_one(stack, name, scope)
            for name in [n for n in stack.resources if n not in wanted]:
                self.remove(stack, name)
            stack.outputs = self.outputs_of(stack, scope)
            stack.updated = now()
            stack.turn('UPDATE_COMPLETE')
            change.execution = 'EXECUTE_COMPLETE'
        except Exception as e:
            change.execution = 'EXECUTE_FAILED'
            stack.event(name, stack.resources.get(name, {}).get('type', ''), 'UPDATE_FAILED', str(e))
            stack.turn('UPDATE_ROLLBACK_IN_PROGRESS', f'The following resource(s) failed to update: [{name}]. ')
            stack.template, stack.values = old_template, old_values
            for name, properties in old_properties.items():
                record = stack.resources.get(name)
                if record and record['properties'] != properties:
                    record['maker'].update(record['physical'], properties, record['properties'])
                    record['properties'] = properties
            for name in [n for n in stack.resources if n not in old_properties]:
                self.remove(stack, name)
            stack.turn('UPDATE_ROLLBACK_COMPLETE')

    def update_one(self, stack, name, scope):
        resource = stack.template['Resources'][name]
        record = stack.resources.get(name)
        if record is None:
            self.make(stack, name, resource, scope)
            return
        properties = scope.resolve(resource.get('Properties', {}))
        if properties == record['properties']:
            return
        stack.event(name, record['type'], 'UPDATE_IN_PROGRESS', physical=record['physical'])
        physical = record['maker'].update(record['physical'], properties, record['properties'])
        record.update(properties=properties, physical=physical or record['physical'])
        stack.event(name, record['type'], 'UPDATE_COMPLETE', physical=record['physical'])

    def describe_stacks(self, call):
        name = call.params.get('StackName')
        if name:
            return {'Stacks': [self.need(name).told()]}
        live = [s.told() for s in self.stacks if s.status != 'DELETE_COMPLETE']
        start = int(call.params.get('NextToken') or 0)
        out = {'Stacks': live[start:start + 50]}
        if start + 50 < len(live):
            out['NextToken'] = str(start + 50)
        return out

    def describe_events(self, call):
        if not call.params.get('StackName'):
            raise invalid('StackName is required')
        events = self.need(call.params['StackName']).events
        start = int(call.params.get('NextToken') or 0)
        out = {'StackEvents': events[start:start + 20]}  # AWS has pages of 100; small ones find who forgets them
        if start + 20 < len(events):
            out['NextToken'] = str(start + 20)
        return out

    def describe_resources(self, call):
        stack = self.need(call.params['StackName'])
        last = {}
        for event in reversed(stack.events):
            last[event['LogicalResourceId']] = event
        return {'StackResources': [
            {'StackName': stack.name, 'StackId': stack.id, 'LogicalResourceId': n, 'PhysicalResourceId': r['physical'],
             'ResourceType': r['type'], 'Timestamp': last[n]['Timestamp'], 'ResourceStatus': last[n]['ResourceStatus']}
            for n, r in stack.resources.items()]}

    def delete_stack(self, call):
        stack = self.find(call.params['StackName'])
        if stack is None or stack.status in ('DELETE_COMPLETE', 'DELETE_IN_PROGRESS'):
            return {}  # as AWS: deleting what is not there succeeds
        if stack.status.endswith('_IN_PROGRESS') and stack.status != 'REVIEW_IN_PROGRESS':
            raise invalid(f'Stack:{stack.id} is in {stack.status} state and can not be deleted.')
        stack.token = call.params.get('ClientRequestToken')
        stack.turn('DELETE_IN_PROGRESS', 'User Initiated')
        self.later(self.delete, stack)
        return {}

    def delete(self, stack):
        failed = self.remove_all(stack)
        if failed:
            stack.turn('DELETE_FAILED', failed)
        else:
            stack.deleted = now()
            stack.turn('DELETE_COMPLETE')

    def install(self):
        for action, handler in {
                'CreateChangeSet': self.create_change_set, 'DescribeChangeSet': self.describe_change_set,
                'ExecuteChangeSet': self.execute_change_set, 'DeleteChangeSet': self.delete_change_set,
                'DescribeStacks': self.describe_stacks, 'DescribeStackEvents': self.describe_events,
                'DescribeStackResources': self.describe_resources, 'DeleteStack': self.delete_stack}.items():
            self.api.handlers['cloudformation', action] = handler
