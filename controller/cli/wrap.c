/* cli/wrap.c - paragraphs for a terminal. */
#include "cli/explain.h"

#include <stdio.h>
#include <string.h>

#define WIDTH 98

void explain_wrap(const char *s, int indent)
{
	int col = indent;

	while (*s) {
		int word = (int)strcspn(s, " ");

		if (col > indent && col + 1 + word > WIDTH) {
			printf("\n%*s", indent, "");
			col = indent;
		} else if (col > indent) {
			putchar(' ');
			col++;
		}
		printf("%.*s", word, s);
		col += word;
		s += word + strspn(s + word, " ");
	}
	putchar('\n');
}
