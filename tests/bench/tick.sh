#!/bin/bash
# One look of a hand-made cutover: the rule's weights, both groups' health, the
# metrics of the last closed minutes, the alarm. What the watch asks for at each
# look (controller/engine/watch.c), in the way one does it with `aws`.
# Wants RULE BLUE GREEN ALARM, and what `aws` wants. Prints one line.
set -euo pipefail

dimension() { echo "${1##*:}"; }
balancer() { local p=${1#*listener-rule/}; echo "${p%/*/*}"; }

query() { # id metric stat group
	printf '{"Id":"%s","MetricStat":{"Metric":{"Namespace":"AWS/ApplicationELB","MetricName":"%s",' "$1" "$2"
	printf '"Dimensions":[{"Name":"TargetGroup","Value":"%s"},' "$(dimension "$4")"
	printf '{"Name":"LoadBalancer","Value":"%s"}]},"Period":60,"Stat":"%s"}}' "$(balancer "$RULE")" "$3"
}

queries() {
	local sep='[' n=0 group
	for group in "$BLUE" "$GREEN"; do
		for metric in RequestCount HTTPCode_Target_5XX_Count TargetConnectionErrorCount TargetResponseTime; do
			local stat=Sum
			[ "$metric" != TargetResponseTime ] || stat=p90
			printf '%s' "$sep"; query "q$((n++))" "$metric" "$stat" "$group"
			sep=,
		done
	done
	printf ']'
}

healthy() {
	aws elbv2 describe-target-health --target-group-arn "$1" --output text \
		--query 'length(TargetHealthDescriptions[?TargetHealth.State==`healthy`])'
}

end=$(($(date +%s) / 60 * 60 - 60))
weights=$(aws elbv2 describe-rules --rule-arns "$RULE" --output text \
	--query 'Rules[0].Actions[0].ForwardConfig.TargetGroups[].Weight')
metrics=$(aws cloudwatch get-metric-data --start-time $((end - 300)) --end-time "$end" \
	--metric-data-queries "$(queries)" --output text --query 'MetricDataResults[].[Id, sum(Values)]')
green=$(healthy "$GREEN")
blue=$(healthy "$BLUE")
alarm=$(aws cloudwatch describe-alarms --alarm-names "$ALARM" --output text --query 'MetricAlarms[].StateValue')

echo weights $weights healthy blue "$blue" green "$green" alarm "$alarm" sums $metrics
