/* import/bir.c: reads a graph in .bir text, written by hand, by `bertc build --emit=bir` or by `bertc
 * opt`. */
#include <string.h>
#include "import.h"
#include "compiler/support/files.h"

bool import_bir_takes(const char *path) { return strcmp(path, "-") == 0 || path_has_suffix(path, ".bir"); }

bool import_bir(const LoadOptions *options, Loaded *loaded, Diag *diag)
{
	Module *module = module_read(options->model, options->search, diag);
	loaded->module = module;
	if (!module)
		return false;
	if (options->max_tokens > 0 && (module->max_tokens == 0 || options->max_tokens < module->max_tokens))
		module->max_tokens = options->max_tokens;
	return true;
}
