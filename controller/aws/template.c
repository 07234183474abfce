/* aws/template.c - what a template asks for, as AWS itself reads it: no parser of
 * ours decides what a parameter is called or which type it has. */
#include "aws/answer.h"
#include "aws/cfn.h"
#include "aws/core.h"

#include <string.h>

#define PARAMETERS_MAX 200 /* AWS: per template */
#define TYPES_MAX 500      /* AWS: resources per template */

static int read_parameter(struct xml *m, json_t *all, struct err *e)
{
	char name[256], type[128];
	json_t *p;

	if (answer_text(m, "ParameterKey", name, sizeof name, e) ||
	    answer_text(m, "ParameterType", type, sizeof type, e))
		return -1;
	if (json_object_size(all) >= PARAMETERS_MAX)
		return err_set(e, ERR_UNSURE, "the template has more than %d parameters", PARAMETERS_MAX);
	p = json_pack("{s:o}", "type", json_text(type));
	if (xml_at(m, "DefaultValue")) /* which may be empty */
		json_object_set_new(p, "default", json_text(xml_text(m, "DefaultValue")));
	json_object_set_new(all, name, p);
	return 0;
}

static json_t *read_texts(struct xml *list)
{
	json_t *all = json_array();

	for (struct xml *m = xml_at(list, "member"); m && json_array_size(all) < TYPES_MAX; m = xml_next(m))
		json_array_append_new(all, json_text(xml_text(m, "")));
	return all;
}

static int read_summary(struct xml *r, struct cfn_template *out, struct err *e)
{
	for (struct xml *m = xml_at(r, "Parameters/member"); m; m = xml_next(m))
		if (read_parameter(m, out->parameters, e))
			return -1;
	out->capabilities = read_texts(xml_at(r, "Capabilities"));
	out->types = read_texts(xml_at(r, "ResourceTypes"));
	return 0;
}

int cfn_template_get(struct aws *a, const char *body, const char *url, struct cfn_template *out,
		     struct err *e)
{
	autoargs struct aws_args *args = aws_args_new();
	autoxml struct xml *x = NULL;
	struct xml *r;

	*out = (struct cfn_template){ .parameters = json_object() };
	aws_arg(args, body, "TemplateBody");
	aws_arg(args, url, "TemplateURL");
	if (aws_query(a, CFN_GET_TEMPLATE_SUMMARY, args, &x, e))
		return err_wrap(e, "asking AWS what the template wants");
	r = answer_at(x, "GetTemplateSummaryResult", e);
	if (!r || read_summary(r, out, e)) {
		cfn_template_free(out);
		return err_wrap(e, "asking AWS what the template wants");
	}
	return 0;
}

void cfn_template_free(struct cfn_template *t)
{
	json_decref(t->parameters);
	json_decref(t->capabilities);
	json_decref(t->types);
	*t = (struct cfn_template){ 0 };
}

/* --- values by type ----------------------------------------------------------------- */

/* docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-supplied-parameter-types.html */
static const struct { const char *type, *prefix, *wants; } kinds[] = {
	{ "AWS::EC2::VPC::Id", "vpc-", "the id of a VPC (vpc-...)" },
	{ "AWS::EC2::Subnet::Id", "subnet-", "the id of a subnet (subnet-...)" },
	{ "AWS::EC2::SecurityGroup::Id", "sg-", "the id of a security group (sg-...)" },
	{ "AWS::EC2::Image::Id", "ami-", "the id of an image (ami-...)" },
	{ "AWS::EC2::Instance::Id", "i-", "the id of an instance (i-...)" },
	{ "AWS::EC2::Volume::Id", "vol-", "the id of a volume (vol-...)" },
	{ "AWS::Route53::HostedZone::Id", "Z", "the id of a hosted zone (Z...)" },
	{ "Number", NULL, "a number" },
};

static bool is_number(const char *s, size_t n)
{
	autofree char *one = xstrndup(s, n);
	char *end;

	(void)strtod(one, &end);
	return *one && !*end && strspn(one, "+-.0123456789eE") == n;
}

static const char *wants_one(const char *type, size_t ntype, const char *s, size_t n)
{
	for (size_t i = 0; i < COUNT(kinds); i++) {
		const char *prefix = kinds[i].prefix;

		if (strlen(kinds[i].type) != ntype || strncmp(kinds[i].type, type, ntype))
			continue;
		if (prefix ? !strncmp(s, prefix, strlen(prefix)) && n > strlen(prefix) : is_number(s, n))
			return NULL;
		return kinds[i].wants;
	}
	return NULL;
}

const char *cfn_type_wants(const char *type, const char *value)
{
	bool list = !strncmp(type, "List<", 5) && type[strlen(type) - 1] == '>';
	const char *one = list ? type + 5 : type;
	size_t n = strlen(one) - list;

	for (;;) { /* each element of a list */
		size_t len = list ? strcspn(value, ",") : strlen(value);
		const char *wants = wants_one(one, n, value, len);

		if (wants || !value[len])
			return wants;
		value += len + 1;
	}
}
