-- Holds a request back by proc.delay milliseconds: latency on demand.
core.register_action("delay", { "http-req" }, function(txn)
	local ms = txn:get_var("proc.delay")
	if ms and ms > 0 then core.msleep(ms) end
end, 0)
