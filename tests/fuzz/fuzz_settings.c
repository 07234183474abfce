/* Any bytes as LocalSettings.php. */
#include "mediawiki/settings.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autosettings struct settings s = { 0 };

	settings_parse((const char *)data, size, &s);
	for (size_t i = 0; i < SETTINGS; i++)
		if (s.value[i] && (s.computed[i] || strlen(s.value[i]) > 1024))
			abort();
	if (s.host && !s.value[SETTING_SERVER])
		abort();
	return 0;
}
