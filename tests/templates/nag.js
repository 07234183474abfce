// cdk-nag and AWS's offline validator over many templates in one process.
// stdin:  {"nag": [{"name", "path"}], "validate": [{"name", "path", "parameters", "region"}]}
// stdout: [{"tool", "name", "id", "resource", "message"}]
'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');
const { App, Stack, Validations } = require('aws-cdk-lib');
const { CfnInclude } = require('aws-cdk-lib/cloudformation-include');
const { AwsSolutionsChecks } = require('cdk-nag');
// The one that CDK carries is newer than the standalone package.
const cdk = path.dirname(require.resolve('aws-cdk-lib/package.json'));
const { CompositeEngine, TemplateFile } = require(require.resolve('@aws/cloudformation-validate', { paths: [cdk] }));

const found = [];
const failed = (tool, name, e) => found.push({ tool, name, id: 'error', resource: '-', message: String(e).split('\n')[0] });

// synth throws when a plugin finds something; what it found is in the report.
function synth(app, out) {
	try {
		app.synth();
	} catch (e) {
		if (!fs.existsSync(path.join(out, 'validation-report.json'))) throw e;
	}
}

function violations(out) {
	const report = path.join(out, 'validation-report.json');
	const all = JSON.parse(fs.readFileSync(report, 'utf8')).pluginReports.flatMap((p) => p.violations);
	return all.filter((v) => !/^[A-Z]\d{4}$/.test(v.ruleName)); // CDK runs the validator too, without our parameters
}

function nag(name, file) {
	const out = fs.mkdtempSync(path.join(os.tmpdir(), 'nag-'));
	try {
		const app = new App({ outdir: out, analyticsReporting: false });
		new CfnInclude(new Stack(app, 'S'), 'T', { templateFile: file });
		Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
		synth(app, out);
		for (const v of violations(out))
			for (const r of v.violatingConstructs)
				found.push({ tool: 'nag', name, id: v.ruleName, resource: r.constructPath.split('/').pop(), message: v.description });
	} catch (e) {
		failed('nag', name, e);
	} finally {
		fs.rmSync(out, { recursive: true, force: true });
	}
}

const engine = new CompositeEngine();
function validate(name, file, parameterOverrides, region) {
	try {
		for (const d of engine.validateTemplate(new TemplateFile(file), { parameterOverrides, regions: [region] }).diagnostics)
			if (d.severity !== 'INFO')
				found.push({ tool: 'validate', name, id: d.ruleId, resource: d.entity ? d.entity.logicalId : '-', message: d.message });
	} catch (e) {
		failed('validate', name, e);
	}
}

const asked = JSON.parse(fs.readFileSync(0, 'utf8'));
for (const t of asked.nag) nag(t.name, t.path);
for (const t of asked.validate) validate(t.name, t.path, t.parameters, t.region);
process.stdout.write(JSON.stringify(found));
