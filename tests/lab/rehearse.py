"""A whole shift through the lab, driven by boto3 alone: proves the lab without the
program that it exists for. Exit status 0 when every part did as AWS would.
"""
import sys
import time

import lab as labs
import users
from aws_api import REGION

STEPS = (0, 100, 300, 999)
BAKE_S = 5


def create_green(lab, cfn, env):
    name = 'lab-green'
    with open(env['LAB_TEMPLATE']) as f:
        body = f.read()
    values = {'Version': env['LAB_GREEN_VERSION'], 'Cluster': 'lab', 'Vpc': env['LAB_VPC'],
              'TestListener': env['LAB_TEST_LISTENER']}
    cfn.create_change_set(StackName=name, ChangeSetName='first', ChangeSetType='CREATE', TemplateBody=body, ClientToken='t1',
                          Parameters=[{'ParameterKey': k, 'ParameterValue': v} for k, v in values.items()])
    lab.wait('the change set', lambda: cfn.describe_change_set(
        StackName=name, ChangeSetName='first')['ExecutionStatus'] == 'AVAILABLE', 20)
    cfn.execute_change_set(StackName=name, ChangeSetName='first', ClientRequestToken='t1')
    lab.wait('the green stack', lambda: cfn.describe_stacks(StackName=name)['Stacks'][0]['StackStatus'] != 'CREATE_IN_PROGRESS', 90)
    stack = cfn.describe_stacks(StackName=name)['Stacks'][0]
    for event in reversed(cfn.describe_stack_events(StackName=name)['StackEvents']):
        print('  ', event['LogicalResourceId'], event['ResourceStatus'], event.get('ResourceStatusReason', ''))
    if stack['StackStatus'] != 'CREATE_COMPLETE':
        raise RuntimeError(f"the green stack is {stack['StackStatus']}")
    return {o['OutputKey']: o['OutputValue'] for o in stack['Outputs']}['TargetGroupArn']


def shift(lab, elb, green, weight):
    elb.modify_rule(RuleArn=lab.rule, Actions=[{'Type': 'forward', 'ForwardConfig': {'TargetGroups': [
        {'TargetGroupArn': lab.blue, 'Weight': 999 - weight}, {'TargetGroupArn': green, 'Weight': weight}]}}])


def numbers(cloudwatch, lab, green, seconds):
    """{colour metric: sum} of the last seconds, by GetMetricData."""
    queries, end = [], time.time()
    for colour, arn in (('blue', lab.blue), ('green', green)):
        for metric, stat in (('RequestCount', 'Sum'), ('HTTPCode_Target_5XX_Count', 'Sum'), ('TargetResponseTime', 'p90')):
            queries.append({'Id': f'{colour}_{metric.lower()}', 'MetricStat': {
                'Stat': stat, 'Period': labs.PERIOD, 'Metric': {
                    'Namespace': 'AWS/ApplicationELB', 'MetricName': metric, 'Dimensions': [
                        {'Name': 'TargetGroup', 'Value': arn.split(':', 5)[5]},
                        {'Name': 'LoadBalancer', 'Value': lab.plane.balancer}]}}})
    got = cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=end - seconds, EndTime=end)
    return {r['Id']: (r['Values'] if r['Id'].endswith('time') else sum(r['Values'])) for r in got['MetricDataResults']}


def main():
    lab = None
    labs.on_signals()
    try:
        lab = labs.Lab(say=lambda text: print('lab:', text, flush=True))
        lab.start()
        lab.start_load()
        return run(lab)
    except KeyboardInterrupt:
        return 130
    finally:
        if lab:
            lab.stop()


def run(lab):
    env = lab.environment()
    sts, elb, cloudwatch, cfn = (lab.client('controller', s) for s in ('sts', 'elbv2', 'cloudwatch', 'cloudformation'))
    print('I am', sts.get_caller_identity()['Arn'], 'in', REGION)
    time.sleep(6)
    green = create_green(lab, cfn, env)
    share = {}
    for weight in STEPS:
        shift(lab, elb, green, weight)
        time.sleep(BAKE_S)
        got = numbers(cloudwatch, lab, green, BAKE_S - 1.5)
        share[weight] = got['green_requestcount']
        print(f'green {weight}/999:', got)
    states = [t['TargetHealth']['State'] for t in elb.describe_target_health(TargetGroupArn=green)['TargetHealthDescriptions']]
    alarm = cloudwatch.describe_alarms(AlarmNames=[labs.ALARM])['MetricAlarms'][0]['StateValue']
    print('green targets', states, 'alarm', alarm)
    end = time.time()
    lab.stop_load()
    seen = users.Seen(users.read(lab.users), lab.wiki.summaries())
    print('failed requests', users.share_text(*seen.failed()), 'edits accepted', len(seen.accepted), 'lost', len(seen.lost))
    last = seen.by_colour(seen.between(end - 3, end))
    print('the last 3 s by colour', last, 'bugs', lab.bugs())
    good = (states == ['healthy'] * 2 and alarm == 'OK' and not seen.lost and seen.accepted and set(last) == {'green'}
            and share[0] == 0 and share[999] > share[100] > 0 and seen.failed()[0] == 0 and not lab.bugs())
    print('the lab works' if good else 'the lab does NOT work as it should')
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
