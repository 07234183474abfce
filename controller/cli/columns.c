#include "cli/columns.h"

#include <locale.h>
#include <string.h>
#include <wchar.h>

#define INDENT "         " /* under the text of "verdict  ..." */

/* The C library knows widths by locale only; the process's own stays "C", so
 * that numbers are. */
static locale_t columns_locale(void)
{
	static locale_t utf8;

	if (!utf8)
		utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	return utf8;
}

/* Bytes of the first character, and the columns it takes. */
static size_t columns_char(const char *p, size_t n, int *width)
{
	mbstate_t none = { 0 };
	wchar_t c;
	size_t k;

	*width = 0;
	if (*p == '\033') {
		const char *end = memchr(p, 'm', n);

		return end ? (size_t)(end - p) + 1 : n;
	}
	k = mbrtowc(&c, p, n, &none);
	if (k == 0 || k > n) {
		*width = 1;
		return 1;
	}
	*width = wcwidth(c);
	if (*width < 0)
		*width = 1;
	return k;
}

/* With the locale set. last: end of the last word that fits; 0: none. */
static size_t columns_measure(const char *p, size_t n, int room, size_t *last)
{
	size_t i = 0;

	*last = 0;
	while (i < n) {
		int width;
		size_t k = columns_char(p + i, n - i, &width);

		if (width > room)
			break;
		if (p[i] == ' ')
			*last = i;
		room -= width;
		i += k;
	}
	return i;
}

/* fits: bytes in `room` columns; word: at the end of a word, where there is one. */
static void columns_break(const char *p, size_t n, int room, size_t *fits, size_t *word)
{
	locale_t mine = columns_locale(), was = mine ? uselocale(mine) : (locale_t)0;

	*fits = columns_measure(p, n, room, word);
	if (*fits == n || *word < strlen(INDENT))
		*word = *fits;
	if (was)
		uselocale(was);
}

size_t columns_fit(const char *p, size_t n, int room)
{
	size_t fits, word;

	columns_break(p, n, room, &fits, &word);
	return fits;
}

static size_t columns_word(const char *p, size_t n, int room)
{
	size_t fits, word;

	columns_break(p, n, room, &fits, &word);
	return word;
}

static void columns_line(const char *indent, const char *p, size_t n, struct buf *out)
{
	buf_addf(out, "\033[2K%s", indent);
	buf_add(out, p, n);
	buf_adds(out, memchr(p, '\033', n) ? "\033[0m\n" : "\n");
}

/* One line of the text, folded; gives how many it became. */
static size_t columns_fold_line(const char *p, size_t n, int width, struct buf *out)
{
	size_t lines = 1, k = columns_word(p, n, width);

	columns_line("", p, k, out);
	for (p += k, n -= k; n; p += k, n -= k, lines++) {
		while (n && *p == ' ')
			p++, n--;
		k = columns_word(p, n, width - (int)strlen(INDENT));
		if (!k)
			break;
		columns_line(INDENT, p, k, out);
	}
	return lines;
}

static size_t columns_fold_all(const char *text, int width, struct buf *out)
{
	size_t lines = 0;

	for (const char *p = text, *end; *p; p = end + (*end == '\n')) {
		end = strchrnul(p, '\n');
		lines += columns_fold_line(p, (size_t)(end - p), width, out);
	}
	return lines;
}

static size_t columns_cut_all(const char *text, int width, int height, struct buf *out)
{
	size_t lines = 0;

	for (const char *p = text, *end; *p; p = end + (*end == '\n')) {
		end = strchrnul(p, '\n');
		if ((int)lines + 1 >= height && end[0] && end[1])
			continue; /* the last line needs its place */
		columns_line("", p, columns_fit(p, (size_t)(end - p), width), out);
		lines++;
	}
	return lines;
}

size_t columns_fold(const char *text, int width, int height, struct buf *out)
{
	size_t lines = columns_fold_all(text, width, out);

	if (lines <= (size_t)height)
		return lines;
	buf_clear(out);
	return columns_cut_all(text, width, height, out);
}
