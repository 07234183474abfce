"""CloudFormation with what shared stacks need besides: all types of templates/,
change sets that say what they would replace, stack policies that are obeyed,
termination protection, retained resources, drift, templates on S3.
"""
import json
import uuid

import template as templates
from cfn import CloudFormation, now
from cfn_types import Failed
from errors import ApiError, invalid
from stacks_types import OWN, Air, Moto, kind_of, replaced_by


def statements(policy):
    found = json.loads(policy).get('Statement', [])
    return found if isinstance(found, list) else [found]


def listed(value):
    return value if isinstance(value, list) else [value]


class Stacks(CloudFormation):
    """store: {url: text}, the templates that somebody put on S3."""

    def __init__(self, api, clients):
        super().__init__(api, clients)
        self.store, self.air, self.used = {}, set(), set()
        self.policies, self.protected, self.drift, self.changed = {}, set(), {}, {}

    def maker(self, kind, stack, name):
        self.used.add(kind)
        how = kind_of(kind)
        if kind == 'AWS::CloudWatch::Alarm' and 'Metrics' in stack.template['Resources'][name]['Properties']:
            kind, how = kind + ' (metric math)', 'air'  # the lab computes alarms on one metric only
        if how == 'own':
            return OWN[kind](self.clients, stack.name, name)
        if how == 'moto':
            return Moto(self.clients, stack.name, name, kind, stack.id, self.api.lock)
        self.air.add(kind)
        return Air(self.clients, stack.name, name, kind)

    # --- change sets -------------------------------------------------------------

    def template_of(self, p, stack):
        url = p.get('TemplateURL')
        if not url or p.get('TemplateBody'):
            return CloudFormation.template_of(p, stack)
        if url not in self.store:
            raise invalid('S3 error: The specified key does not exist.')
        return templates.read(self.store[url])

    def create_change_set(self, call):
        stack = self.find(call.params['StackName'])
        template = self.template_of(call.params, stack)
        values = templates.parameters(template, call.params.get('Parameters', []), stack.values if stack else None)
        (stack or Blank(call.params['StackName'])).scope(values, template).check_rules()
        return super().create_change_set(call)

    def differences(self, change):
        rows = super().differences(change)
        for row in rows:
            inner = row['ResourceChange']
            if inner['Action'] == 'Modify':
                self.explain(change, inner)
            elif inner['Action'] == 'Remove':
                kept = change.stack.template['Resources'][inner['LogicalResourceId']].get('DeletionPolicy')
                inner['PolicyAction'] = {'Retain': 'Retain', 'Snapshot': 'Snapshot'}.get(kept, 'Delete')
        return [r for r in rows if r['ResourceChange']['Action'] != 'Modify' or r['ResourceChange']['Details']]

    def explain(self, change, inner):
        """Which properties, and whether they make a new one."""
        name, kind = inner['LogicalResourceId'], inner['ResourceType']
        was = self.shape(change.stack.template, change.stack.values, name)
        will = self.shape(change.template, change.values, name)
        names = sorted(k for k in set(was) | set(will) if was.get(k) != will.get(k))
        new = [n for n in names if n in replaced_by(kind)]
        inner['Replacement'] = 'True' if new else 'False'
        inner['Scope'] = ['Properties']
        inner['Details'] = [{'Target': {'Attribute': 'Properties', 'Name': n, 'RequiresRecreation': 'Always' if n in new else 'Never'},
                             'Evaluation': 'Static', 'ChangeSource': 'DirectModification'} for n in names]

    def shape(self, template, values, name):
        """{property: its text, with the parameters that it names}."""
        out = {}
        for key, value in template['Resources'].get(name, {}).get('Properties', {}).items():
            used = set()
            templates.walk(value, used.add)
            conditions = template.get('Conditions', {})
            out[key] = json.dumps([value, {u: values[u] for u in sorted(used) if u in values},
                                   {c: json.dumps(conditions[c]) for c in sorted(conditions)} if 'Fn::If' in json.dumps(value) else 0],
                                  sort_keys=True, default=str)
        return out

    # --- updates -------------------------------------------------------------------

    def update_one(self, stack, name, scope):
        record = stack.resources.get(name)
        resource = stack.template['Resources'][name]
        if record is None:
            return super().update_one(stack, name, scope)
        properties = scope.resolve(resource.get('Properties', {}))
        changed = {k for k in set(properties) | set(record['properties']) if properties.get(k) != record['properties'].get(k)}
        if not changed:
            return None
        new = bool(changed & replaced_by(record['type']))
        self.obey_policy(stack, name, 'Update:Replace' if new else 'Update:Modify')
        if not new:
            return super().update_one(stack, name, scope)
        old = stack.resources.pop(name)
        self.make(stack, name, resource, scope)
        if resource.get('UpdateReplacePolicy') not in ('Retain', 'Snapshot'):
            old['maker'].delete(old['physical'], old['properties'])
        return None

    def obey_policy(self, stack, name, action):
        allowed = name is None
        for s in statements(self.policies.get(stack.id, '{"Statement":[]}')):
            actions = [a for a in listed(s.get('Action', [])) if a in (action, 'Update:*')]
            if actions and any(r in ('*', f'LogicalResourceId/{name}') for r in listed(s.get('Resource', []))):
                if s['Effect'] == 'Deny':
                    raise Failed(f'Action denied by stack policy: Statement [#1] does not allow [{action}] for resource '
                                 f'[LogicalResourceId/{name}];')
                allowed = True
        if stack.id in self.policies and not allowed:
            raise Failed(f'Action denied by stack policy: no statement allows [{action}] for resource [LogicalResourceId/{name}];')

    def remove(self, stack, name):
        resource = stack.template['Resources'].get(name, {})
        if stack.status.startswith('UPDATE_') and not stack.status.startswith('UPDATE_ROLLBACK'):
            self.obey_policy(stack, name, 'Update:Delete')
        if resource.get('DeletionPolicy') in ('Retain', 'Snapshot') and not stack.status.startswith('ROLLBACK'):
            record = stack.resources.pop(name)
            stack.event(name, record['type'], 'DELETE_SKIPPED', physical=record['physical'])
            return
        super().remove(stack, name)

    def delete_stack(self, call):
        stack = self.find(call.params['StackName'])
        if stack and stack.id in self.protected:
            raise invalid(f'Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled')
        return super().delete_stack(call)

    def describe_stacks(self, call):
        told = super().describe_stacks(call)
        for s in told['Stacks']:
            s['EnableTerminationProtection'] = s['StackId'] in self.protected
        return told

    # --- what stacks have besides -----------------------------------------------------

    def summary(self, call):
        template = self.template_of(call.params, None)
        named = {r['Type'] for r in template['Resources'].values()}
        out = {'Parameters': [], 'ResourceTypes': sorted(named)}
        for name, p in template.get('Parameters', {}).items():
            told = {'ParameterKey': name, 'ParameterType': p['Type'], 'NoEcho': False}
            if 'Default' in p:
                told['DefaultValue'] = str(p['Default'])
            out['Parameters'].append(told)
        if any(kind.startswith('AWS::IAM::') for kind in named):
            named_ones = any('RoleName' in r.get('Properties', {}) for r in template['Resources'].values())
            out['Capabilities'] = ['CAPABILITY_NAMED_IAM' if named_ones else 'CAPABILITY_IAM']
        return out

    def set_policy(self, call):
        stack = self.need(call.params['StackName'])
        for s in statements(call.params['StackPolicyBody']):
            if s.get('Effect') not in ('Allow', 'Deny') or not all(a.startswith('Update:') for a in listed(s['Action'])):
                raise invalid('Error validating stack policy: Unknown statement')
        self.policies[stack.id] = call.params['StackPolicyBody']
        return {}

    def set_protection(self, call):
        stack = self.need(call.params['StackName'])
        (self.protected.add if call.params['EnableTerminationProtection'] else self.protected.discard)(stack.id)
        return {'StackId': stack.id}

    def somebody_changes(self, stack, logical, path, was, value):
        """A person goes around the template: drift."""
        self.changed.setdefault(self.find(stack).id, []).append((logical, path, was, value))

    def detect_drift(self, call):
        stack = self.need(call.params['StackName'])
        if stack.status.endswith('_IN_PROGRESS'):
            raise invalid(f'Stack {stack.id} is in {stack.status} and drift cannot be detected')
        made = str(uuid.uuid4())
        self.drift[made] = [stack, 1]
        return {'StackDriftDetectionId': made}

    def drift_status(self, call):
        found = self.drift.get(call.params['StackDriftDetectionId'])
        if found is None:
            raise invalid('The drift detection id does not exist')
        stack, looks = found
        found[1] -= 1
        out = {'StackId': stack.id, 'StackDriftDetectionId': call.params['StackDriftDetectionId'], 'Timestamp': now(),
               'DetectionStatus': 'DETECTION_IN_PROGRESS' if looks > 0 else 'DETECTION_COMPLETE'}
        if looks <= 0:
            out['StackDriftStatus'] = 'DRIFTED' if self.changed.get(stack.id) else 'IN_SYNC'
            out['DriftedStackResourceCount'] = len(self.changed.get(stack.id, []))
        return out

    def drift_rows(self, call):
        stack = self.need(call.params['StackName'])
        return {'StackResourceDrifts': [
            {'StackId': stack.id, 'LogicalResourceId': logical, 'PhysicalResourceId': stack.resources[logical]['physical'],
             'ResourceType': stack.resources[logical]['type'], 'StackResourceDriftStatus': 'MODIFIED', 'Timestamp': now(),
             'PropertyDifferences': [{'PropertyPath': path, 'ExpectedValue': was, 'ActualValue': value,
                                      'DifferenceType': 'NOT_EQUAL'}]}
            for logical, path, was, value in self.changed.get(stack.id, [])]}

    def install(self):
        super().install()
        for action, handler in {
                'GetTemplateSummary': self.summary, 'SetStackPolicy': self.set_policy,
                'UpdateTerminationProtection': self.set_protection, 'DetectStackDrift': self.detect_drift,
                'DescribeStackDriftDetectionStatus': self.drift_status, 'DescribeStackResourceDrifts': self.drift_rows}.items():
            self.api.handlers['cloudformation', action] = handler


class Blank:
    """A stack that is not there yet, for the rules of its template."""

    def __init__(self, name):
        from cfn import Stack
        self.scope = Stack(name).scope


__all__ = ['Stacks', 'ApiError']
