/* module_text.h: common code of the tests of passes and of the IR: a module from its text, running passes,
 * and the messages of a Diag. */
#ifndef MODULE_TEXT_H
#define MODULE_TEXT_H
#include <CUnit/Basic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "passes/passes.h"

/* The messages of diag, in a buffer that the next call overwrites. */
static inline char *diag_text(Diag *diag)
{
	static char text[1 << 16];
	FILE *stream = fmemopen(text, sizeof text, "w");
	diag_print(diag, stream);
	fclose(stream);
	return text;
}

/* The module of a text. Ends the test if the text is not a valid module. */
static inline Module *module_of_text(const char *text)
{
	Diag diag;
	diag_init(&diag, NULL);
	Module *module = module_parse(text, strlen(text), ".", NULL, &diag);
	const bool good = module && module_verify(module, &diag);
	if (!good)
		printf("\n%s%s", text, diag_text(&diag));
	CU_ASSERT_TRUE_FATAL(good);
	diag_free(&diag);
	return module;
}

/* Runs passes over a module, and verifies it after each. ledger may be NULL. Returns NULL, or the first
 * message of an error, malloc'd. */
static inline char *passes_error(const char *passes, Module *module, const PassEnv *env, Ledger *ledger)
{
	Diag diag;
	diag_init(&diag, NULL);
	const DriverOptions options = {.verify_each = true};
	Pipeline *pipeline = pipeline_parse(passes, &diag);
	const bool good = pipeline && pipeline_run(pipeline, module, env, &options, ledger, &diag);
	char *message = NULL;
	if (!good)
		message = strdup(diag.count ? diag.messages[0].text : "no message");
	pipeline_free(pipeline);
	diag_free(&diag);
	return message;
}

/* The same for passes that must succeed. Ends the test when they do not. */
static inline void passes_run(const char *passes, Module *module, const PassEnv *env, Ledger *ledger)
{
	char *message = passes_error(passes, module, env, ledger);
	if (message)
		printf("\n%s: %s\n", passes, message);
	CU_ASSERT_PTR_NULL_FATAL(message);
}
#endif
