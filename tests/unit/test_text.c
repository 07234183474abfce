/* Text of others in a line of ours: journal, screen, log, JSON. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/say.h"
#include "engine/engine.h"
#include "store/store.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OTHER "\xef\xbf\xbd"

/* What somebody may type or answer, and what of it may stand in a line. */
static const struct { const char *typed, *shown; } texts[] = {
	{ "plain", "plain" },
	{ "Ä ö 漢 😀", "Ä ö 漢 😀" },
	{ "\033[2J\033]0;title\a", OTHER "[2J" OTHER "]0;title" OTHER },
	{ "x\n10:00:00 promoted    PROMOTED", "x\\n10:00:00 promoted    PROMOTED" },
	{ "x\r10:00:00 promoted", "x" OTHER "10:00:00 promoted" },
	{ "a\tb", "a b" },
	{ "\x7f", OTHER },
	{ "\xc2\x9b" "31m", OTHER "31m" },                     /* CSI as one character */
	{ "\xc2\x80\xc2\x85\xc2\x9f\xc2\xa0", OTHER OTHER OTHER "\xc2\xa0" },
	{ "a\xe2\x80\xae" "b\xe2\x80\xac", "a" OTHER "b" OTHER },    /* RLO, PDF */
	{ "\xe2\x80\xaa\xe2\x80\xab\xe2\x80\xad", OTHER OTHER OTHER },
	{ "\xe2\x81\xa6\xe2\x81\xa7\xe2\x81\xa8\xe2\x81\xa9", OTHER OTHER OTHER OTHER },
	{ "\xe2\x80\x8e\xe2\x80\x8f\xd8\x9c", OTHER OTHER OTHER },
	{ "\xe2\x80\xa8\xe2\x80\xa9", OTHER OTHER },
	{ "\xff\xc0\x80\xed\xa0\x80", OTHER OTHER OTHER OTHER OTHER OTHER },
	{ "cut \xe6\xbc", "cut " },                                /* nothing of what was cut off */
};

static void nothing_in_a_line_steers_a_terminal(void **state)
{
	char out[200];

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		text_line(out, sizeof out, texts[i].typed);
		assert_string_equal(out, texts[i].shown);
	}
	text_line(out, sizeof out, NULL);
	assert_string_equal(out, "");
}

static bool is_fit(const char *s)
{
	for (size_t i = 0, n = strlen(s), len; i < n; i += len) {
		len = text_char(s + i, n - i);
		if (!len || text_is_odd(s + i, len))
			return false;
	}
	return true;
}

static void no_length_cuts_a_character(void **state)
{
	char out[64];

	(void)state;
	for (size_t size = 1; size < sizeof out; size++)
		for (size_t i = 0; i < COUNT(texts); i++) {
			memset(out, 'x', sizeof out);
			text_line(out, size, texts[i].typed);
			assert_true(strlen(out) < size);
			assert_true(is_fit(out));
		}
}

/* Any two bytes after each other, and any three that begin as UTF-8 does. */
static void all_bytes_are_made_fit(void **state)
{
	char typed[5] = "", out[64];

	(void)state;
	for (unsigned a = 1; a < 256; a++)
		for (unsigned b = 1; b < 256; b++)
			for (unsigned c = 0x7e; c < 0xc2; c++) {
				typed[0] = (char)a, typed[1] = (char)b, typed[2] = (char)c, typed[3] = 'z';
				text_line(out, sizeof out, typed);
				assert_true(is_fit(out));
			}
}

static void in_place_it_only_shrinks(void **state)
{
	char text[64] = "a\xc2\x9b" "31m\xe2\x80\xae\n\xff" "b";

	(void)state;
	text_clean(text);
	assert_string_equal(text, "a?31m? ?b");
}

static void errors_say_what_was_typed_as_data(void **state)
{
	struct err e = { 0 };

	(void)state;
	err_set(&e, ERR_INPUT, "there is no file \"%s\"", "a\033[2J\nb\xc2\x9b");
	err_wrap(&e, "reading %s", "\xe2\x80\xae");
	assert_true(is_fit(e.msg));
	assert_string_equal(e.msg, "reading " OTHER ": there is no file \"a" OTHER "[2J\\nb" OTHER "\"");
}

/* What an older program wrote is JSON still, and the same text, but steers nothing. */
static void json_of_old_journals_is_escaped(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(texts) - 2; i++) {
		autojson json_t *old = json_pack("[s]", texts[i].typed), *back = NULL;
		autofree char *text = json_flat(old);

		assert_true(is_fit(text));
		back = json_loads(text, 0, NULL);
		assert_true(json_equal(old, back));
	}
}

/* --- a journal that an older program wrote, and one that this one writes -------------------- */

struct seen { struct buf text, json; int lines; };

static int see(void *ctx, const struct event *ev)
{
	struct seen *s = ctx;
	autobuf struct buf line = BUF_MAX(16384);
	autofree char *json = say_event_json(NULL, ev);

	assert_true(say_event(NULL, ev, &line));
	assert_true(is_fit(line.p) && is_fit(json));
	assert_string_not_equal(json, "null");
	buf_addf(&s->text, "%s\n", line.p);
	s->lines++;
	return 0;
}

static void journal_shows_data(struct store *s)
{
	struct seen seen = { .text = BUF_MAX(1 << 16) };
	struct err e = { 0 };

	assert_int_equal(store_read(s, "run", 0, see, &seen, &e), 0);
	assert_int_equal(seen.lines, (int)COUNT(texts));
	assert_null(strstr(seen.text.p, "\n10:00:00"));
	buf_free(&seen.text);
}

static struct store *new_journal(char path[64])
{
	struct err e = { 0 };
	struct store *s;

	snprintf(path, 64, "/tmp/cutover-text-%d.db", (int)getpid());
	unlink(path);
	assert_int_equal(store_open(path, &s, &e), 0);
	return s;
}

/* A reason that prints a line like an event; an actor whose line was lost or null. */
static void a_reason_cannot_look_like_an_event(void **state)
{
	char path[64];
	struct store *s = new_journal(path);
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		const struct engine_order o = { .kind = ORDER_PAUSE, .reason = texts[i].typed, .actor = texts[i].typed };

		assert_int_equal(engine_order(s, "run", &clock_real, &o, NULL, &e), 0);
	}
	journal_shows_data(s);
	store_close(s);
	unlink(path);
}

static void old_journals_are_shown_as_data(void **state)
{
	char path[64];
	struct store *s = new_journal(path);
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		autojson json_t *why = json_stringn_nocheck(texts[i].typed, strlen(texts[i].typed));
		autojson json_t *body = json_pack("{s:s, s:O}", "order", "pause", "reason", why);
		autofree char *text = json_dumps(body, JSON_COMPACT);
		struct event ev = { .seq = (int64_t)i + 1, .at = 1, .run = (char *)"run", .actor = (char *)texts[i].typed,
				    .kind = (char *)"order", .step = (char *)"", .body = text ? text : (char *)"{\"order\":\"pause\"}" };

		assert_int_equal(store_append(s, &ev, &e), 0);
	}
	journal_shows_data(s);
	store_close(s);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_in_a_line_steers_a_terminal),
		cmocka_unit_test(no_length_cuts_a_character),
		cmocka_unit_test(all_bytes_are_made_fit),
		cmocka_unit_test(in_place_it_only_shrinks),
		cmocka_unit_test(errors_say_what_was_typed_as_data),
		cmocka_unit_test(json_of_old_journals_is_escaped),
		cmocka_unit_test(a_reason_cannot_look_like_an_event),
		cmocka_unit_test(old_journals_are_shown_as_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
